//! One load at a constant rate, judged.

use sabot_toxics::Invalid;
use schemars::JsonSchema;
use serde::Serialize;

use crate::judge::{Phase, Tracker};
use crate::measure::Measured;
use crate::outcome::Fate;
use crate::run::RunError;
use crate::slo::{Slo, format_value};

/// A load whose median request is later than this, with connections to spare, is late by itself: who cannot
/// keep up falls behind with all of them. Few are late because a connection had to be opened first.
const LATE_MS: f64 = 5.0;
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
    /// One did not, but each answer took no longer than at lower rates: requests waited for one of the
    /// load's connections, all of which were in use. It says nothing of the system.
    Full,
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
    /// How late the load itself sent its median request, waits for a connection included.
    pub lateness_p50_ms: f64,
    /// The same at the 99th percentile.
    pub lateness_p99_ms: f64,
    /// From the first byte sent to the whole answer, the median of those answered as expected: without the
    /// wait for a connection.
    pub answer_p50_ms: Option<f64>,
    /// How it went.
    pub outcome: Outcome,
    /// The objectives that did not hold, each with what was measured.
    pub broken: Vec<String>,
}

/// Answers that take so many times as long as at lower rates are the system's doing; less is noise.
const SLOWER: f64 = 1.5;

/// Judges what was measured at `rate`, without its first `skip_s` seconds. `calm_ms` is how long an answer
/// took at a rate that held, if there was one.
///
/// # Errors
/// Too little came to tell of an objective.
pub(super) fn judge(
    measured: &mut Measured,
    rate_per_s: f64,
    skip_s: u64,
    slos: &[Slo],
    connections: u32,
    calm_ms: Option<f64>,
) -> Result<Probe, RunError> {
    let lateness = measured.summary.lateness;
    let (lateness_p50_ms, lateness_p99_ms) = lateness.map_or((0.0, 0.0), |late| (late.p50, late.p99));
    let answer_p50_ms = measured.answer_p50_ms;
    let waited = measured.summary.in_flight_max >= connections;
    let late = measured.own_cpu >= BUSY || (lateness_p50_ms > LATE_MS && !waited);
    let as_fast = answer_p50_ms.zip(calm_ms).is_some_and(|(now, calm)| now <= calm * SLOWER);
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
    let ok = tally.count(Fate::Ok) as f64;
    // Answers that never come, or come as errors, are the system's doing, however fast the others are.
    let answered = tally.errors() == tally.count(Fate::Dropped);
    let full = waited && lateness_p50_ms > LATE_MS && as_fast && answered;
    let ms = |q| tally.ok.quantile(q).map(|latency| (latency.as_secs_f64() * 1e6).round() / 1e3);
    let outcome = match (broken.is_empty(), late, full) {
        (true, ..) => Outcome::Held,
        (false, true, _) => Outcome::Late,
        (false, false, true) => Outcome::Full,
        (false, false, false) => Outcome::Broke,
    };
    Ok(Probe {
        rate_per_s,
        offered_per_s: tally.offered() as f64 / length,
        effective_per_s: ok / length,
        error_rate: tally.error_rate().unwrap_or_default(),
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        lateness_p50_ms,
        lateness_p99_ms,
        answer_p50_ms,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::judge::Phases;
    use crate::load::{Batch, Ended, Load, Plan, Recorder, Sink};
    use crate::outcome::Outcome as Request;
    use crate::slo::Names;

    /// Ten seconds at 100/s, each request sent so late and answered so long after it was meant to be; the
    /// first two seconds take ten times as long.
    fn measured(late_ms: u64, latency_ms: u64, in_flight: u32, own_cpu: f64) -> Measured {
        measured_with(late_ms, latency_ms, in_flight, own_cpu, |_| Fate::Ok)
    }

    fn measured_with(
        late_ms: u64,
        latency_ms: u64,
        in_flight: u32,
        own_cpu: f64,
        fate: impl Fn(u64) -> Fate,
    ) -> Measured {
        let plan = json!({"target": "http://localhost", "rate": 100, "duration": "10s"});
        let load = Load::new(Plan::read(plan).unwrap()).unwrap();
        let mut recorder = Recorder::new(&load);
        let mut batch = Batch { in_flight, ..Batch::default() };
        for n in 0..1000u64 {
            let intended = Duration::from_millis(n * 10);
            let sent = Some(intended + Duration::from_millis(late_ms));
            let times = if n < 200 { 10 } else { 1 };
            let done = intended + Duration::from_millis(latency_ms * times);
            batch.outcomes.push(Request { intended, sent, done, endpoint: 0, tenant: 0, fate: fate(n) });
        }
        recorder.take(&batch);
        let ended = Ended { offered_for: Duration::from_secs(10), stopped: false, workers: 1 };
        let (summary, series) = recorder.finish(&load, ended);
        Measured {
            names: Names::of(&load),
            series,
            summary,
            slis: std::collections::BTreeMap::new(),
            warnings: Vec::new(),
            own_cpu,
            answer_p50_ms: Some((latency_ms - late_ms) as f64),
            interrupted: None,
            phases: Phases { baseline_s: 0, fault_s: 10, recovery_s: 10, end_s: 10 },
        }
    }

    fn judged(mut measured: Measured, calm_ms: Option<f64>) -> Probe {
        let slos = ["p99 < 100ms".parse().unwrap(), "error_rate < 1%".parse().unwrap()];
        judge(&mut measured, 100.0, 2, &slos, 50, calm_ms).unwrap()
    }

    #[test]
    fn whose_fault_it_is_is_told_apart() {
        let calm = Some(40.0);
        for (late_ms, latency_ms, in_flight, own_cpu, calm_ms, outcome) in [
            (0, 20, 3, 0.1, calm, Outcome::Held),
            (0, 200, 20, 0.1, calm, Outcome::Broke),
            // With connections to spare nobody but the load made it late.
            (150, 200, 20, 0.1, calm, Outcome::Late),
            // Requests that wait for a connection wait for the system if it has become slower,
            (150, 250, 50, 0.1, calm, Outcome::Broke),
            // for the load's own limit if it has not,
            (150, 200, 50, 0.1, calm, Outcome::Full),
            // and if nobody knows, the system is not acquitted.
            (150, 200, 50, 0.1, None, Outcome::Broke),
            (0, 200, 20, 0.99, calm, Outcome::Late),
            // What held in spite of it, held.
            (30, 40, 20, 0.99, calm, Outcome::Held),
            (30, 70, 50, 0.1, calm, Outcome::Held),
        ] {
            let probe = judged(measured(late_ms, latency_ms, in_flight, own_cpu), calm_ms);
            assert_eq!(probe.outcome, outcome, "{probe:?}");
            assert_eq!(probe.broken.is_empty(), outcome == Outcome::Held);
        }
    }

    #[test]
    fn what_is_never_answered_is_the_systems_doing_however_fast_the_rest_is() {
        for (fate, outcome) in [(Fate::Dropped, Outcome::Full), (Fate::Timeout, Outcome::Broke)] {
            let one_in_20 = |n: u64| if n.is_multiple_of(20) { fate } else { Fate::Ok };
            let probe = judged(measured_with(150, 200, 50, 0.1, one_in_20), Some(40.0));
            assert_eq!(probe.outcome, outcome, "{probe:?}");
        }
    }

    #[test]
    fn the_first_seconds_do_not_count() {
        let probe = judged(measured(0, 20, 3, 0.1), None);
        assert!((probe.p99_ms.unwrap() - 20.0).abs() < 0.5, "{probe:?}");
        assert_eq!((probe.offered_per_s, probe.effective_per_s), (100.0, 100.0));
    }

    #[test]
    fn a_probe_that_says_too_little_is_no_probe() {
        let slos = ["GET / p99 < 100ms".parse().unwrap()];
        let error = judge(&mut measured(0, 20, 3, 0.1), 100.0, 9, &slos, 50, None);
        assert!(error.is_ok(), "a hundred are enough");
        let error = judge(&mut measured(0, 20, 3, 0.1), 100.0, 10, &slos, 50, None).unwrap_err();
        assert!(error.to_string().contains("needs 100 requests of its own"), "{error}");
    }
}
