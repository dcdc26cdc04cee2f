//! Drives a load through its phases, second by second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::far_side::Counters;
use super::faults::Faults;
use super::sampling::Sampling;
use super::stop::StopConditions;
use super::{CourseEnd, Observer, Options, Progress, RunError, interrupted, unless_interrupted};
use crate::experiment::Experiment;
use crate::judge::{Observed, Phase, Phases, Samples, Tracker, too_few};
use crate::load::{Batch, Load, Recorder, Running, Sink};
use crate::record::FarSide;
use crate::series::Series;
use crate::slo::{Names, Slo};

/// A run between its first request and its last.
pub(super) struct Course<'a> {
    experiment: &'a Experiment,
    load: &'a Arc<Load>,
    options: &'a Options,
    observer: &'a mut dyn Observer,
    names: Names,
    recorder: Recorder,
    /// Requests by the second in which they ended.
    ended: Series,
    stop: StopConditions<'a>,
    sampling: Option<Sampling>,
    counters: Counters,
    planned: Phases,
    reached: Phases,
    /// Why nothing was broken, if the baseline was out of SLO as it ended; sentences.
    unsteady: Vec<String>,
    warnings: Vec<String>,
}

/// What a course saw.
pub(super) struct Seen {
    pub(super) recorder: Recorder,
    pub(super) slis: BTreeMap<String, Samples>,
    pub(super) far_side: Vec<FarSide>,
    pub(super) unsteady: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Course<'a> {
    pub(super) fn new(
        experiment: &'a Experiment,
        load: &'a Arc<Load>,
        options: &'a Options,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let [warm_up, baseline, fault, recovery] = experiment.windows.seconds();
        let (baseline_s, fault_s) = (warm_up, warm_up + baseline);
        let recovery_s = fault_s + fault;
        Self {
            experiment,
            load,
            options,
            observer,
            names: Names::of(load),
            recorder: Recorder::new(load),
            ended: Series::default(),
            stop: StopConditions::new(&experiment.stop),
            sampling: None,
            counters: Counters::default(),
            planned: Phases { baseline_s, fault_s, recovery_s, end_s: recovery_s + recovery },
            reached: Phases::default(),
            unsteady: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// From the first request to the last. The faults are off afterwards, unless it panics.
    pub(super) async fn drive(&mut self, faults: &mut Faults<'_>) -> Result<CourseEnd, RunError> {
        self.warnings = unless_interrupted(&self.options.interrupt, faults.begin()).await?;
        for warning in &self.warnings {
            self.observer.said(&format!("warning: {warning}"));
        }
        let mut running = unless_interrupted(&self.options.interrupt, Running::start(self.load)).await??;
        let started = Instant::from_std(running.started());
        self.sampling = Some(Sampling::start(&self.experiment.slis, started));
        let aborted = self.phases(&mut running, started, faults).await;
        faults.remove(|| started.elapsed().as_secs_f64(), self.observer).await;
        if aborted.is_some() || self.reached.end_s < self.planned.end_s {
            running.stop();
        }
        while let Some(batch) = running.next().await {
            self.take(&batch);
        }
        self.counters.read(&self.options.client).await;
        Ok(CourseEnd { phases: self.reached.clone(), aborted, load: running.finish()? })
    }

    pub(super) fn finish(self) -> Seen {
        let far_side = self.counters.far_side(&self.reached);
        let (slis, of_slis) = self.sampling.map(Sampling::finish).unwrap_or_default();
        let warnings = self.warnings.into_iter().chain(of_slis).collect();
        Seen { recorder: self.recorder, slis, far_side, unsteady: self.unsteady, warnings }
    }

    /// Goes through the seconds; answers why it was aborted, if it was. `reached` says how far it came.
    async fn phases(
        &mut self,
        running: &mut Running,
        started: Instant,
        faults: &mut Faults<'_>,
    ) -> Option<String> {
        let elapsed_s = || started.elapsed().as_secs_f64();
        for second in 0..=self.planned.end_s {
            if let Err(reason) = self.until(running, started + Duration::from_secs(second)).await {
                self.reached_at(second);
                return Some(reason);
            }
            self.reached_at(second);
            if second > 0
                && let Some(reason) = self.passed(second - 1)
            {
                return Some(reason);
            }
            if second == self.planned.baseline_s
                || second == self.planned.fault_s
                || second == self.planned.recovery_s
            {
                self.counters.read(&self.options.client).await;
            }
            if second == self.planned.fault_s {
                self.unsteady = self.unsteady();
                if !self.unsteady.is_empty() {
                    self.observer.said("the baseline is none: nothing is broken on top of it");
                    return None;
                }
                faults.apply(Duration::from_secs(self.planned.recovery_s - second), elapsed_s).await;
                self.switched(
                    faults,
                    if faults.failed() { "the fault could not be put on" } else { "fault on" },
                );
            }
            if second == self.planned.recovery_s && faults.remove(elapsed_s, self.observer).await {
                self.switched(faults, "fault off");
            }
            if faults.failed() {
                return None;
            }
            if let Some(silence) = faults.look().await {
                self.observer.said(&silence);
            }
        }
        None
    }

    /// Says what became of the faults, of a run that has any.
    fn switched(&mut self, faults: &Faults<'_>, what: &str) {
        if !faults.are_none() {
            self.observer.said(what);
        }
    }

    /// The run has come to `second`: phases that begin later are empty.
    fn reached_at(&mut self, second: u64) {
        let Phases { baseline_s, fault_s, recovery_s, end_s } = self.planned;
        self.reached = Phases {
            baseline_s: baseline_s.min(second),
            fault_s: fault_s.min(second),
            recovery_s: recovery_s.min(second),
            end_s: end_s.min(second),
        };
    }

    /// Takes in what comes until `deadline`, or says why it is to end.
    async fn until(&mut self, running: &mut Running, deadline: Instant) -> Result<(), String> {
        let mut interrupt = self.options.interrupt.clone();
        loop {
            tokio::select! {
                biased;
                reason = interrupted(&mut interrupt) => return Err(reason),
                // Before the deadline: what has come is taken in also when that has passed already.
                Some(batch) = running.next() => self.take(&batch),
                () = tokio::time::sleep_until(deadline) => return Ok(()),
            }
        }
    }

    fn take(&mut self, batch: &Batch) {
        self.recorder.take(batch);
        for outcome in &batch.outcomes {
            self.ended.record_in(outcome.done.as_secs(), outcome);
        }
    }

    /// What keeps the baseline that has just ended from being one; sentences.
    fn unsteady(&mut self) -> Vec<String> {
        let slos = self.experiment.objectives().steady;
        let slis = self.sampling.as_mut().map(|sampling| sampling.samples().clone()).unwrap_or_default();
        let seconds = self.reached.of(Phase::Baseline);
        let observed = Observed {
            names: &self.names,
            series: self.recorder.series(),
            slis: &slis,
            phases: &self.reached,
        };
        let broken = |slo: &&Slo| {
            let subjects = slo.subjects(&self.names);
            subjects.into_iter().any(|s| Tracker::new(&observed, slo, s).holds(seconds.clone()) != Some(true))
        };
        let told = |slo: &Slo| {
            format!(
                "No clean baseline. As it ended, `{slo}` was not met by what had been answered by then: nothing \
                 was broken on top of it."
            )
        };
        // Those that are under way may still end well.
        let baseline = self.recorder.series().tally(seconds.clone(), |_, _| true);
        let few = too_few(baseline.ended() + u64::from(self.recorder.in_flight()));
        few.into_iter().chain(slos.iter().filter(broken).map(told)).collect()
    }

    /// A second has passed: shows it, and says whether a stop condition has come true.
    fn passed(&mut self, second: u64) -> Option<String> {
        let samples = BTreeMap::new();
        let slis = self.sampling.as_mut().map_or(&samples, |sampling| sampling.samples());
        let phase = self.planned.at(second);
        let tally = self.ended.tally(second..second + 1, |_, _| true);
        let ended = tally.ended();
        let ms = |q| tally.ok.quantile(q).map(|latency| latency.as_secs_f64() * 1e3);
        let observed = Observed { names: &self.names, series: &self.ended, slis, phases: &self.reached };
        let broken = |slo: &&Slo| {
            let subjects = slo.subjects(&self.names);
            subjects.into_iter().any(|s| Tracker::new(&observed, slo, s).trailing(second) == Some(false))
        };
        let slos = self.experiment.objectives();
        let of_phase = match phase {
            Phase::WarmUp => &[][..],
            Phase::Baseline => &slos.steady,
            Phase::Fault => &slos.fault,
            Phase::Recovery => &slos.after,
        };
        let progress = Progress {
            phase,
            elapsed_s: second + 1,
            left_s: self.planned.of(phase).end - second - 1,
            total_s: self.planned.end_s,
            ended_per_s: ended as f64,
            error_rate: tally.error_rate(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            in_flight: self.recorder.in_flight(),
            broken: of_phase.iter().filter(broken).map(|slo| slo.text.clone()).collect(),
        };
        self.observer.second(&progress);
        self.stop.check(&self.names, &self.ended, slis, second)
    }
}
