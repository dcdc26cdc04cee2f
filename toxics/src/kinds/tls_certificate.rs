use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::{Problem, TlsCx, TlsPlan, TlsStep, TlsToxic};

/// Shows a certificate that no careful client accepts.
///
/// Sabot's CA (`sabot ca`) makes it on the spot for the name that the client asks for,
/// so that this one thing is wrong with it and nothing else: a client that trusts that
/// CA sees just the `problem`. A `revoked` one is listed in the revocation list that
/// the API serves at `/v1/ca/crl`; only clients that look there notice. Sessions are not
/// resumed while it acts. Of several toxics the last one's problem is shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsCertificate {
    /// What is wrong with it.
    pub problem: Problem,
}

impl TlsToxic for TlsCertificate {
    const KIND: &'static str = "tls_certificate";
    const STEP: TlsStep = TlsStep::Handshake;

    fn on_tls(&self, _: &TlsCx<'_>, plan: &mut TlsPlan) {
        plan.certificate = Some(self.problem);
    }
}
