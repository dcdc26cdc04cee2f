use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::{Distribution, gaussian, normal_share_below};
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
    pub jitter: Millis,
    /// The shape of the jitter, as tc-netem means it.
    pub distribution: Distribution,
    /// How much one delay resembles the one before it, 0 (not at all) to 1
    /// (always the same).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub correlation: f64,
}

/// The Gaussian that correlated delays follow; none before the first.
#[derive(Default)]
pub struct Walk(Option<f64>);

impl Toxic for Latency {
    const KIND: &'static str = "latency";
    const CLASSIC: Option<&'static [&'static str]> = Some(&["latency", "jitter"]);

    type State = Walk;

    fn validate(&self) -> Result<(), Invalid> {
        if !(0.0..=1.0).contains(&self.correlation) {
            return Err(Invalid::new("correlation", "must lie between 0 and 1"));
        }
        Ok(())
    }

    fn on_frame(&self, walk: &mut Walk, cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        let delay = if self.correlation > 0.0 {
            let noise = walk.step(self.correlation, cx);
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
        let jitter = self.jitter.get().as_secs_f64() * self.distribution.at(u);
        let seconds = self.latency.get().as_secs_f64() + jitter;
        Duration::from_nanos((seconds.max(0.0) * 1e9).round() as u64)
    }
}

impl Walk {
    /// The next value of a Gaussian whose neighbours correlate by `rho`.
    ///
    /// netem blends uniform draws, which narrows their spread; a Gaussian walk
    /// keeps the distribution exactly as asked. The innovation belongs to the
    /// offset; what earlier chunks left over fades with `rho`.
    fn step(&mut self, rho: f64, cx: &Cx<'_>) -> f64 {
        let fresh = gaussian(&mut cx.seed.at(cx.offset));
        let value = match self.0 {
            None => fresh,
            Some(last) => rho * last + (1.0 - rho * rho).sqrt() * fresh,
        };
        self.0 = Some(value);
        value
    }
}
