use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::distribution::Distribution;
use crate::tls::{TlsCx, TlsPlan, TlsStep, TlsToxic};
use crate::units::Millis;

/// Lets a TLS handshake wait: the answer to the `ClientHello` comes `delay` later.
///
/// What an overloaded terminator looks like, or one that asks a slow key store.
/// Several of them add up. It acts on proxies that terminate TLS and on those that
/// pass it through; the data after the handshake is not delayed (for that there is
/// `latency`). Removing the toxic lets handshakes that wait go on at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsDelay {
    /// For how long.
    pub delay: Millis,
    /// How far the delay varies, in the shape of `distribution`. No delay falls
    /// below 0.
    #[schemars(extend("x-varies" = "delay"))]
    pub jitter: Millis,
    /// The shape of the jitter, as tc-netem means it; with lognormal `delay` is the median, and
    /// `jitter` is how much more the 99th percentile has.
    pub distribution: Distribution,
}

impl TlsToxic for TlsDelay {
    const KIND: &'static str = "tls_delay";
    const STEP: TlsStep = TlsStep::Wait;

    fn validate(&self) -> Result<(), Invalid> {
        self.distribution.check("delay", self.delay, self.jitter)
    }

    fn on_tls(&self, cx: &TlsCx<'_>, plan: &mut TlsPlan) {
        let draw = cx.seed.at(0).unit();
        plan.delay += self.distribution.delay(self.delay.get(), self.jitter.get(), draw);
    }
}
