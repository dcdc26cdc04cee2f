use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::{TlsCx, TlsPlan, TlsStep, TlsToxic};
use crate::units::ByteSize;

/// Cuts a TLS record off: it announces more than is sent, then the stream ends.
///
/// The first `bytes` of application data that go to the client after the handshake
/// arrive whole. Then comes the head of a record with only a part of its body, and a
/// FIN. What is written after `bytes` is lost. A connection on which more has passed
/// already is cut off at its next write. Of several toxics the smallest number counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsTruncate {
    /// Bytes of application data before the cut.
    pub bytes: ByteSize,
}

impl TlsToxic for TlsTruncate {
    const KIND: &'static str = "tls_truncate";
    const STEP: TlsStep = TlsStep::Data;

    fn on_tls(&self, _: &TlsCx<'_>, plan: &mut TlsPlan) {
        let bytes = self.bytes.0;
        plan.truncate = Some(plan.truncate.map_or(bytes, |other| other.min(bytes)));
    }
}
