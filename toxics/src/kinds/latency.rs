use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::{Distribution, Walk, normal_share_below};
use crate::units::Millis;
use crate::{Cx, Frame, Invalid, Out, Reschedule, Seed, Toxic};

/// Delays everything by `latency`, give or take `jitter`.
///
/// What arrives leaves that much later, in order and pipelined: the delay does
/// not cap the rate. The end of the stream is delayed like the bytes before it.
/// Removing the toxic releases what it holds at once; shortening it brings
/// forward what is held.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Latency {
    /// The delay.
    pub latency: Millis,
    /// How far the delay varies, in the shape of `distribution`. No delay falls
    /// below 0, and none overtakes another.
    #[schemars(extend("x-varies" = "latency"))]
    pub jitter: Millis,
    /// The shape of the jitter, as tc-netem means it; with lognormal `latency` is the median, and
    /// `jitter` is how much more the 99th percentile has.
    pub distribution: Distribution,
    /// How much one delay resembles the one before it, 0 (not at all) to 1
    /// (always the same).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub correlation: f64,
}

impl Toxic for Latency {
    const KIND: &'static str = "latency";
    const CLASSIC: Option<&'static [&'static str]> = Some(&["latency", "jitter"]);

    type State = Walk;

    fn validate(&self) -> Result<(), Invalid> {
        Invalid::unless_share("correlation", self.correlation)?;
        self.distribution.check("latency", self.latency, self.jitter)
    }

    fn on_frame(&self, walk: &mut Walk, cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        let delay = if self.correlation > 0.0 {
            let noise = walk.step(self.correlation, cx.seed, cx.offset);
            self.delay(normal_share_below(noise))
        } else {
            self.drawn_delay(cx.seed, cx.offset)
        };
        out.send_at(cx.now + delay, frame);
    }

    fn on_update(&self, _: &mut Walk, cx: &Cx<'_>, held: &mut Reschedule<'_>) {
        // A correlated delay is not a function of the offset alone: what is held
        // leaves by the longest delay that the new settings allow.
        held.bring_forward(|held| {
            let delay = match self.correlation {
                0.0 => self.drawn_delay(cx.seed, held.offset),
                _ => self.delay(1.0 - f64::EPSILON),
            };
            held.arrived + delay
        });
    }
}

impl Latency {
    /// The delay of what begins at `offset`: the draw belongs to the place.
    fn drawn_delay(&self, seed: &Seed, offset: u64) -> Duration {
        if self.jitter.is_zero() {
            return self.latency.get();
        }
        self.delay(seed.at(offset).unit())
    }

    /// The delay at the quantile `u`.
    fn delay(&self, u: f64) -> Duration {
        self.distribution.delay(self.latency.get(), self.jitter.get(), u)
    }
}
