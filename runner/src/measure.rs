//! Drives a load without breaking anything, and gives what was seen: what `baseline` and `ramp` share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::judge::{Observed, Phases, Samples};
use crate::load::{Batch, Load, Recorder, Running, Sink, Summary};
use crate::outcome::Fate;
use crate::run::sampling::Sampling;
use crate::run::{Interrupt, Observer, RunError, interrupted, unless_interrupted};
use crate::series::{Latencies, Series};
use crate::sli::SliSpec;
use crate::slo::Names;

/// What was seen of a load.
#[derive(Debug)]
pub(crate) struct Measured {
    /// What the indices of `series` stand for.
    pub(crate) names: Names,
    /// What became of the load, by intended second.
    pub(crate) series: Series,
    /// The load in numbers.
    pub(crate) summary: Summary,
    /// What the SLIs said.
    pub(crate) slis: BTreeMap<String, Samples>,
    /// Sentences about SLIs that had no number at times.
    pub(crate) warnings: Vec<String>,
    /// Processor time that this process took, as a share of what the load's threads could have had.
    pub(crate) own_cpu: f64,
    /// From the first byte sent to the whole answer, the median of those answered as expected, in milliseconds.
    pub(crate) answer_p50_ms: Option<f64>,
    /// Why it ended before its time, if it did.
    pub(crate) interrupted: Option<String>,
    /// Seconds that are whole: what was meant to start in them has ended.
    pub(crate) phases: Phases,
}

impl Measured {
    /// What judges work on: its seconds from `skip_s` on are the baseline.
    pub(crate) fn observed(&mut self, skip_s: u64) -> Observed<'_> {
        self.phases.baseline_s = skip_s.min(self.phases.end_s);
        Observed { names: &self.names, series: &self.series, slis: &self.slis, phases: &self.phases }
    }
}

/// Runs a load to its end, or until it is interrupted. Says a line every ten seconds.
///
/// # Errors
/// The load could not start, or a thread of it could not go on.
pub(crate) async fn measure(
    load: &Arc<Load>,
    slis: &BTreeMap<String, SliSpec>,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
) -> Result<Measured, RunError> {
    let mut running = unless_interrupted(interrupt, Running::start(load)).await??;
    let started = Instant::from_std(running.started());
    let (cpu, wall) = (own_cpu(), std::time::Instant::now());
    let mut sampling = Sampling::start(slis, started);
    let mut recorder = Recorder::new(load);
    let mut answers = Answers::default();
    let mut interrupt = interrupt.clone();
    let mut ended_early = None;
    let total_s = load.profile().duration().as_secs_f64();
    let mut every = tokio::time::interval_at(started + LINE, LINE);
    loop {
        tokio::select! {
            biased;
            reason = interrupted(&mut interrupt), if ended_early.is_none() => {
                ended_early = Some(reason);
                running.stop();
            }
            batch = running.next() => {
                let Some(batch) = batch else { break };
                recorder.take(&batch);
                answers.take(&batch);
            }
            _ = every.tick() => {
                let at = started.elapsed().as_secs_f64().min(total_s);
                observer.said(&format!("{at:.0}/{total_s:.0} s, {} under way", recorder.in_flight()));
            }
        }
        // Its queue is bounded, and nobody else empties it.
        sampling.samples();
    }
    let threads = f64::from(running.workers());
    let own_cpu = (own_cpu() - cpu).as_secs_f64() / (wall.elapsed().as_secs_f64() * threads).max(1e-9);
    let ended = running.finish()?;
    let (slis, warnings) = sampling.finish();
    let end_s = ended.offered_for.as_secs();
    let (summary, series) = recorder.finish(load, ended);
    let phases = Phases { baseline_s: 0, fault_s: end_s, recovery_s: end_s, end_s };
    let names = Names::of(load);
    let answer_p50_ms = answers.0.quantile(0.5).map(|time| time.as_secs_f64() * 1e3);
    let interrupted = ended_early;
    Ok(Measured { names, series, summary, slis, warnings, own_cpu, answer_p50_ms, interrupted, phases })
}

/// How long answers took once their request was sent.
#[derive(Default)]
struct Answers(Latencies);

impl Sink for Answers {
    fn take(&mut self, batch: &Batch) {
        for outcome in batch.outcomes.iter().filter(|outcome| outcome.fate == Fate::Ok) {
            if let Some(sent) = outcome.sent {
                self.0.record(outcome.done.saturating_sub(sent));
            }
        }
    }
}

/// How often something is said meanwhile.
const LINE: Duration = Duration::from_secs(10);

/// Processor time of this process so far.
fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}
