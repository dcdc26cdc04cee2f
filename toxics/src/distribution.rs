//! The shapes that jitter can have, as tc-netem means them.
//!
//! netem scales a table of an inverse cumulative distribution function by the
//! jitter and adds it to the delay. The tables that iproute2 makes hold 16-bit
//! numbers in steps of 1/8192, so no value exceeds 4 jitters; the same bound
//! holds here, and the values are computed instead of tabulated.
//! Source of the formulas: iproute2, netem/normal.c, pareto.c, paretonormal.c.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::seed::Draws;
use crate::units::Millis;
use crate::{Invalid, Seed};

/// Largest value of a netem table: 32767 / 8192.
const TABLE_MAX: f64 = 32767.0 / 8192.0;

/// The shape of jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Evenly in `[-jitter, +jitter)`.
    #[default]
    Uniform,
    /// Gaussian, `jitter` is its standard deviation.
    Normal,
    /// Heavy tail to the right (shape 3), as netem's table of that name.
    Pareto,
    /// A quarter normal and three quarters pareto, as netem's table.
    ParetoNormal,
    /// Exponential of mean and standard deviation `jitter`, moved to mean 0.
    Exponential,
    /// As services answer: the delay is the median, and `jitter` is how much more the 99th
    /// percentile has. The delay must not be 0 then. Not of netem.
    LogNormal,
}

/// The 99th percentile of a standard normal distribution.
const Z99: f64 = 2.326_347_874_040_840_8;

impl Distribution {
    /// The value at the quantile `u` in `[0, 1)`, in units of jitter; that of `LogNormal` is
    /// of the logarithm of the delay, in units of its standard deviation.
    #[must_use]
    pub fn at(self, u: f64) -> f64 {
        match self {
            Self::Uniform => 2.0 * u - 1.0,
            Self::Normal | Self::LogNormal => normal(u),
            Self::Pareto => pareto(u),
            Self::ParetoNormal => (normal(u) + 3.0 * pareto(u)) / 4.0,
            Self::Exponential => (-(1.0 - u).ln() - 1.0).min(TABLE_MAX),
        }
    }
}

impl Distribution {
    /// A delay of `mean` give or take `jitter` at the quantile `u`, never below 0. `LogNormal`
    /// takes `mean` as the median.
    #[must_use]
    pub fn delay(self, mean: Duration, jitter: Duration, u: f64) -> Duration {
        if jitter.is_zero() {
            return mean;
        }
        let (mean, jitter) = (mean.as_secs_f64(), jitter.as_secs_f64());
        let seconds = match self {
            Self::LogNormal => mean * (self.at(u) * (jitter / mean).ln_1p() / Z99).exp(),
            _ => mean + jitter * self.at(u),
        };
        Duration::from_nanos((seconds.max(0.0) * 1e9).round() as u64)
    }
}

impl Distribution {
    /// Refuses what the shape cannot have; `field` is the name of the delay.
    ///
    /// # Errors
    /// A median of 0 with jitter: its multiples are all 0.
    pub(crate) fn check(self, field: &str, delay: Millis, jitter: Millis) -> Result<(), Invalid> {
        if self != Self::LogNormal || !delay.is_zero() || jitter.is_zero() {
            return Ok(());
        }
        let message = "is the median of a lognormal delay and must not be 0: give it, or leave `jitter` out";
        Err(Invalid::new(field, message))
    }
}

/// A Gaussian whose neighbours correlate; nothing before the first step.
#[derive(Default)]
pub struct Walk(Option<f64>);

impl Walk {
    /// The next value, which correlates with the last by `rho`.
    ///
    /// netem blends uniform draws, which narrows their spread; a Gaussian walk
    /// keeps the distribution exactly as asked. The innovation belongs to the
    /// offset; what earlier chunks left over fades with `rho`.
    pub(crate) fn step(&mut self, rho: f64, seed: &Seed, offset: u64) -> f64 {
        let fresh = gaussian(&mut seed.at(offset));
        let value = match self.0 {
            None => fresh,
            Some(last) => rho * last + (1.0 - rho * rho).sqrt() * fresh,
        };
        self.0 = Some(value);
        value
    }
}

/// A standard normal draw (Box–Muller).
pub(crate) fn gaussian(draws: &mut Draws) -> f64 {
    let radius = (-2.0 * (1.0 - draws.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * draws.unit()).cos()
}

/// Share of a standard normal distribution below `z`.
pub(crate) fn normal_share_below(z: f64) -> f64 {
    // Abramowitz & Stegun 26.2.17, absolute error below 7.5e-8.
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * poly;
    if z > 0.0 { 1.0 - tail } else { tail }
}

fn pareto(u: f64) -> f64 {
    (4.0 / 3.0 * ((1.0 - u).powf(-1.0 / 3.0) - 1.5)).min(TABLE_MAX)
}

/// Inverse of the standard normal distribution function (Acklam's rational
/// approximation, relative error below 1.2e-9), within the table's bound.
fn normal(u: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    const LOW: f64 = 0.02425;
    let horner = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        horner(&C, q) / (horner(&D, q) * q + 1.0)
    };
    let value = if u <= 0.0 {
        -TABLE_MAX
    } else if u < LOW {
        tail(u)
    } else if u > 1.0 - LOW {
        -tail(1.0 - u)
    } else {
        let q = u - 0.5;
        let r = q * q;
        horner(&A, r) * q / (horner(&B, r) * r + 1.0)
    };
    value.clamp(-TABLE_MAX, TABLE_MAX)
}
