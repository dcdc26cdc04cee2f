use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConnectCx, ConnectPlan, ConnectToxic};

/// Resets every new connection as soon as it is accepted.
///
/// The client sees its connection established and then an RST, before the
/// upstream is dialled. (A refused handshake, `ECONNREFUSED`, is what a
/// disabled proxy gives.) Connections that are open already are left alone:
/// for them there is `reset_peer`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Refuse {}

impl ConnectToxic for Refuse {
    const KIND: &'static str = "refuse";

    fn on_connect(&self, _: &ConnectCx<'_>, plan: &mut ConnectPlan) {
        plan.refuse = true;
    }
}
