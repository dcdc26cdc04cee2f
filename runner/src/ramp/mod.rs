//! The breakpoint: the highest rate at which every objective holds.
//!
//! - [`ramp`] sends one load after another and gives a [`Ramp`];
//! - [`search`]: which rate to try next, and what it all came to; pure;
//! - [`probe`]: one load at a constant rate, judged.

pub mod probe;
pub mod search;

use std::sync::Arc;
use std::time::Duration;

use sabot_toxics::Invalid;
use schemars::JsonSchema;
use serde::Serialize;

use crate::experiment::Experiment;
use crate::load::Load;
use crate::load::plan::{PerSecond, Rate};
use crate::measure::measure;
use crate::run::{Interrupt, Observer, RunError, clean_up, prepare, unless_interrupted};
use crate::slo::Slo;
pub use probe::{Outcome, Probe};
pub use search::{Bounds, Ceiling, Search};

/// The share of the breakpoint that is proposed for steady operation: at 65 % a queue is short, and one
/// replica of three can go.
pub const STEADY_SHARE: f64 = 0.65;

/// How a ramp is done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which rates.
    pub bounds: Bounds,
    /// How long each load takes, in whole seconds.
    pub probe_s: u64,
    /// How many of its first seconds do not count.
    pub skip_s: u64,
    /// How long the system is left alone between two.
    pub settle: Duration,
}

impl Plan {
    /// Refuses what cannot be done.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), Invalid> {
        self.bounds.check()?;
        if self.probe_s <= self.skip_s {
            return Err(Invalid::new("for", "must be longer than what of it does not count"));
        }
        Ok(())
    }
}

/// What the search came to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Ramp {
    /// The objectives that had to hold.
    pub slos: Vec<String>,
    /// The highest rate at which they did; none if they held at none.
    pub breakpoint_per_s: Option<f64>,
    /// What kept it from being higher.
    pub ceiling: Ceiling,
    /// The rate that did not pass any more; none if none was met.
    pub ceiling_per_s: Option<f64>,
    /// 65 % of the breakpoint: the rate that is proposed for steady operation.
    pub steady_per_s: Option<f64>,
    /// How many connections the load could have to each target.
    pub connections: u32,
    /// Each load, in order: the evidence.
    pub probes: Vec<Probe>,
    /// Why it ended before its time, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
    /// Sentences about what went wrong beside it.
    pub warnings: Vec<String>,
}

/// Who sees the probes of a ramp as they end.
pub trait Watch: Observer {
    /// A probe has ended.
    fn probed(&mut self, probe: &Probe);
}

/// Finds the breakpoint of the experiment's load: its endpoints and its client, at rates of the search.
/// The objectives are those of its steady state; its faults are left out.
///
/// # Errors
/// It did not take place, or a probe cannot tell what an objective asks.
pub async fn ramp(
    experiment: &Experiment,
    plan: &Plan,
    interrupt: &Interrupt,
    watch: &mut dyn Watch,
) -> Result<Ramp, RunError> {
    plan.check().map_err(RunError::Load)?;
    let slos = experiment.objectives().steady;
    let mut course =
        Course { experiment, plan, slos: &slos, search: Search::new(plan.bounds), probes: Vec::new() };
    let ended = course.drive(interrupt, watch).await;
    let warnings = clean_up(&experiment.cleanup).await;
    let interrupted = ended?;
    let Course { search, probes, .. } = course;
    let breakpoint = search.breakpoint();
    Ok(Ramp {
        slos: slos.iter().map(|slo| slo.text.clone()).collect(),
        breakpoint_per_s: breakpoint,
        ceiling: search.ceiling(),
        ceiling_per_s: search.ceiling_per_s(),
        steady_per_s: breakpoint.map(|rate| rate * STEADY_SHARE),
        connections: experiment.load.as_ref().map_or(0, |load| load.connections),
        probes,
        interrupted,
        warnings,
    })
}

struct Course<'a> {
    experiment: &'a Experiment,
    plan: &'a Plan,
    slos: &'a [Slo],
    search: Search,
    probes: Vec<Probe>,
}

impl Course<'_> {
    /// Probes until the search is over; answers why it ended before, if it did.
    async fn drive(
        &mut self,
        interrupt: &Interrupt,
        watch: &mut dyn Watch,
    ) -> Result<Option<String>, RunError> {
        prepare(&self.experiment.prepare, interrupt, watch).await?;
        while let Some(rate) = self.search.next() {
            if !self.probes.is_empty() {
                let pause = tokio::time::sleep(self.plan.settle);
                if let Err(RunError::Interrupted(reason)) = unless_interrupted(interrupt, pause).await {
                    return Ok(Some(reason));
                }
            }
            let load = Arc::new(load(self.experiment, self.plan, rate, self.probes.len() as u64)?);
            let mut measured = measure(&load, &self.experiment.slis, interrupt, &mut ()).await?;
            if let Some(reason) = measured.interrupted.take() {
                return Ok(Some(reason));
            }
            let connections = load.plan().connections;
            let held = self.probes.iter().filter(|probe| probe.outcome == Outcome::Held);
            let calm_ms = held.filter_map(|probe| probe.answer_p50_ms).reduce(f64::min);
            let probe = probe::judge(&mut measured, rate, self.plan.skip_s, self.slos, connections, calm_ms)?;
            watch.probed(&probe);
            self.search.take(probe.outcome);
            self.probes.push(probe);
        }
        Ok(None)
    }
}

/// The experiment's load at that rate. Each probe has a seed of its own: a system may answer faster, or not
/// at all, what it was asked before.
fn load(experiment: &Experiment, plan: &Plan, rate: f64, number: u64) -> Result<Load, RunError> {
    let missing = || RunError::Load(Invalid::new("load", "is missing"));
    let mut load = experiment.load.clone().ok_or_else(missing)?;
    let rate = PerSecond::new(rate).map_err(|message| RunError::Load(Invalid::new("rate", message)))?;
    load.rate = Rate::Constant(rate);
    load.seed = load.seed.wrapping_add(number);
    load.duration = Some(sabot_toxics::units::Millis::new(plan.probe_s.saturating_mul(1000)));
    Load::new(load).map_err(RunError::Load)
}
