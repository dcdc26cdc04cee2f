//! One load at a constant rate, judged.

use sabot_toxics::Invalid;
use schemars::JsonSchema;
use serde::Serialize;

use crate::judge::{Phase, Tracker};
use crate::measure::Measured;
use crate::run::RunError;
use crate::slo::{Slo, format_value};

/// A load that is later than this at the 99th percentile, with connections to spare, is late by itself:
/// at 5,000 requests/s its own lateness is below 1 ms.
const LATE_MS: f64 = 20.0;
/// So is one whose threads had no processor time left.
const BUSY: f64 = 0.95;

/// How a probe went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every objective held.
    Held,
    /// One did not.
    Broke,
    /// One did not, but the load's own machine could not send in time: it says nothing of the system.
    Late,
}

/// A probe and its numbers, those of the seconds that count. Latencies from the intended start.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Probe {
    /// The rate that was asked for, requests a second.
    pub rate_per_s: f64,
    /// What the schedule called for, a second.
    pub offered_per_s: f64,
    /// What was answered as expected, a second.
    pub effective_per_s: f64,
    /// The share that was not, 0 to 1.
    pub error_rate: f64,
    /// The median latency of those answered as expected; none if there were none.
    pub p50_ms: Option<f64>,
    /// What 99 % of them did not exceed.
    pub p99_ms: Option<f64>,
    /// How late the load itself sent (p99), waits for a connection included.
    pub lateness_p99_ms: f64,
    /// How it went.
    pub outcome: Outcome,
    /// The objectives that did not hold, each with what was measured.
    pub broken: Vec<String>,
}

/// Judges what was measured at `rate`, without its first `skip_s` seconds.
///
/// # Errors
/// Too little came to tell of an objective.
pub(super) fn judge(
    measured: &mut Measured,
    rate_per_s: f64,
    skip_s: u64,
    slos: &[Slo],
    connections: u32,
) -> Result<Probe, RunError> {
    let lateness_p99_ms = measured.summary.lateness.p99;
    let waited = measured.summary.in_flight_max >= connections;
    let late = measured.own_cpu >= BUSY || (lateness_p99_ms > LATE_MS && !waited);
    let observed = measured.observed(skip_s);
    let seconds = observed.phases.of(Phase::Baseline);
    let mut broken = Vec::new();
    for slo in slos {
        for subject in slo.subjects(observed.names) {
            let value = observed.value(slo, subject, seconds.clone());
            match Tracker::new(&observed, slo, subject).holds(seconds.clone()) {
                Some(true) => {}
                Some(false) => {
                    let value = value.map(|value| format_value(value, slo.indicator.unit()));
                    broken.push(format!("{slo}: {}", value.unwrap_or_default()));
                }
                None => return Err(untold(slo, rate_per_s)),
            }
        }
    }
    let tally = observed.series.tally(seconds.clone(), |_, _| true);
    let length = seconds.end.saturating_sub(seconds.start).max(1) as f64;
    let offered = tally.offered() as f64;
    let ok = offered - tally.errors() as f64;
    let ms = |q| tally.ok.quantile(q).map(|latency| (latency.as_secs_f64() * 1e6).round() / 1e3);
    let outcome = match (broken.is_empty(), late) {
        (true, _) => Outcome::Held,
        (false, true) => Outcome::Late,
        (false, false) => Outcome::Broke,
    };
    Ok(Probe {
        rate_per_s,
        offered_per_s: offered / length,
        effective_per_s: ok / length,
        error_rate: if offered > 0.0 { 1.0 - ok / offered } else { 0.0 },
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        lateness_p99_ms,
        outcome,
        broken,
    })
}

fn untold(slo: &Slo, rate_per_s: f64) -> RunError {
    let least = slo.indicator.least();
    RunError::Load(Invalid::new(
        "for",
        format!(
            "a probe at {rate_per_s}/s says too little of `{slo}`, which needs {least} requests of its own: make \
             probes longer or begin at a higher rate"
        ),
    ))
}
