use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::{TlsCx, TlsPlan, TlsStep, TlsToxic, TlsVersion};

/// Speaks only one version of TLS, whatever the proxy's settings say.
///
/// With 1.2, the default, the server looks as old as many are: clients that insist on
/// 1.3 fail. With 1.3 it is those that do not know it yet; both get the alert
/// `protocol_version`. Of several toxics the last one's version is spoken.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsOneVersion {
    /// The version.
    pub only: TlsVersion,
}

impl TlsToxic for TlsOneVersion {
    const KIND: &'static str = "tls_version";
    const STEP: TlsStep = TlsStep::Handshake;

    fn on_tls(&self, _: &TlsCx<'_>, plan: &mut TlsPlan) {
        plan.only = Some(self.only);
    }
}
