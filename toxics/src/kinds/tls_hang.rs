use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::{TlsCx, TlsPlan, TlsStep, TlsToxic};

/// Never answers a `ClientHello`: the TLS handshake hangs.
///
/// The connection stays open until the client gives up. It acts on proxies that
/// terminate TLS and on those that pass it through. Removing the toxic lets
/// handshakes that hang go on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsHang {}

impl TlsToxic for TlsHang {
    const KIND: &'static str = "tls_hang";
    const STEP: TlsStep = TlsStep::Wait;

    fn on_tls(&self, _: &TlsCx<'_>, plan: &mut TlsPlan) {
        plan.hang = true;
    }
}
