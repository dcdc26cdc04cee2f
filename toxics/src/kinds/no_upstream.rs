use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConnectCx, ConnectPlan, ConnectToxic, Dial};

/// Accepts clients and swallows what they send; there is no upstream.
///
/// Nothing is dialled, nothing ever comes back, and the connection lasts until
/// the client ends it: a server that accepts and then hangs, and a stub for one
/// that does not exist.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NoUpstream {}

impl ConnectToxic for NoUpstream {
    const KIND: &'static str = "no_upstream";

    fn on_connect(&self, _: &ConnectCx<'_>, plan: &mut ConnectPlan) {
        plan.dial = Dial::Nothing;
    }
}
