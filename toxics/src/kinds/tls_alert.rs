use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::{Alert, TlsCx, TlsPlan, TlsStep, TlsToxic};

/// Answers a `ClientHello` with a fatal alert and closes.
///
/// The alert is one of TLS (RFC 8446, section 6) by name or number:
/// `handshake_failure`, `internal_error`, `unrecognized_name`, `protocol_version`,
/// `certificate_unknown` and so on. Of several toxics the last one's is sent. It acts
/// on proxies that terminate TLS and on those that pass it through; connections that
/// are open already are left alone.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsAlert {
    /// Which alert.
    pub alert: Alert,
}

impl TlsToxic for TlsAlert {
    const KIND: &'static str = "tls_alert";
    const STEP: TlsStep = TlsStep::Refuse;

    fn on_tls(&self, _: &TlsCx<'_>, plan: &mut TlsPlan) {
        plan.alert = Some(self.alert);
    }
}
