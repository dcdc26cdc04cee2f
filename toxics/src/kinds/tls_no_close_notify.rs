use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::{TlsCx, TlsPlan, TlsStep, TlsToxic};

/// Ends connections by a FIN alone, without the `close_notify` that TLS asks for.
///
/// A client cannot tell such an end from one that an attacker has made: a careful one
/// reports a truncation. It acts whenever this side ends a connection while the toxic
/// is there, also one that was open before.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsNoCloseNotify {}

impl TlsToxic for TlsNoCloseNotify {
    const KIND: &'static str = "tls_no_close_notify";
    const STEP: TlsStep = TlsStep::Close;

    fn on_tls(&self, _: &TlsCx<'_>, plan: &mut TlsPlan) {
        plan.no_close_notify = true;
    }
}
