//! The steady state: what a system does while nothing is broken, how much that varies by itself, and
//! which objectives are beyond that.
//!
//! - [`measure_baseline`] drives the load and gives a [`Baseline`];
//! - `windows`: an indicator in windows of equal length;
//! - `propose`: objectives that the system's own noise does not break;
//! - `check`: what that noise says of objectives that there are already.
//!
//! All but the first is pure.

mod check;
mod propose;
#[cfg(test)]
mod tests;
mod windows;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::experiment::Experiment;
use crate::judge::Observed;
use crate::load::Summary;
use crate::load::plan::Rate;
use crate::measure::measure;
use crate::run::{Interrupt, Observer, RunError, clean_up, prepare};

pub use check::{Check, Noise};
pub use propose::Proposal;
pub use windows::Spread;

/// Fewer windows than this say nothing of how much they differ.
pub const LEAST_WINDOWS: u64 = 6;

/// The steady state of a system under a load.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Baseline {
    /// Seconds that were judged, the warm-up left out.
    pub measured_s: u64,
    /// Why it ended before its time, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
    /// The load in numbers, the warm-up included.
    pub load: Summary,
    /// Objectives that the noise does not break.
    pub proposals: Vec<Proposal>,
    /// What the noise says of the experiment's own objectives.
    pub checks: Vec<Check>,
    /// What makes the numbers worth less than they look; sentences.
    pub warnings: Vec<String>,
}

/// Drives the experiment's load with nothing broken, for as long as its windows say (`warm_up`, then
/// `baseline`), and says what its steady state is.
///
/// # Errors
/// It did not take place.
pub async fn measure_baseline(
    experiment: &Experiment,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
) -> Result<Baseline, RunError> {
    let load = Arc::new(experiment.load().map_err(RunError::Load)?);
    let whole = async {
        prepare(&experiment.prepare, interrupt, observer).await?;
        measure(&load, &experiment.slis, interrupt, observer).await
    };
    let measured = whole.await;
    let warnings = clean_up(&experiment.cleanup).await;
    let mut measured = measured?;
    let [warm_up_s, ..] = experiment.windows.seconds();
    let summary = measured.summary.clone();
    let interrupted = measured.interrupted.clone();
    let mut said = std::mem::take(&mut measured.warnings);
    let observed = measured.observed(warm_up_s);
    let constant = matches!(load.plan().rate, Rate::Constant(_));
    let mut baseline = judge_baseline(&observed, summary, experiment, constant);
    baseline.interrupted = interrupted;
    said.extend(warnings);
    baseline.warnings.extend(said);
    Ok(baseline)
}

/// What was seen, as a baseline; `constant` says whether the load's rate was meant to stay the same.
#[must_use]
pub fn judge_baseline(
    observed: &Observed<'_>,
    load: Summary,
    experiment: &Experiment,
    constant: bool,
) -> Baseline {
    let mut warnings = Vec::new();
    let proposals = propose::propose(observed, constant, &mut warnings);
    let checks = check::checks(observed, &experiment.objectives());
    warnings.extend(doubts(observed, &load, constant));
    let measured_s = observed.phases.fault_s.saturating_sub(observed.phases.baseline_s);
    Baseline { measured_s, interrupted: None, load, proposals, checks, warnings }
}

/// What makes the numbers worth less than they look.
fn doubts(observed: &Observed<'_>, load: &Summary, constant: bool) -> Vec<String> {
    let mut doubts = Vec::new();
    let total = &load.total;
    if !constant {
        doubts
            .push("The load's rate changes over time: what is called noise here is partly that.".to_owned());
    }
    if total.error_rate > 0.01 {
        doubts.push(format!(
            "{:.1} % of the requests were not answered as expected{}: put that right before objectives are made \
             of it.",
            total.error_rate * 100.0,
            load.told_causes().map(|causes| format!(" ({causes})")).unwrap_or_default()
        ));
    }
    if let (Some(lateness), Some(latency)) = (load.lateness, total.latency_ms)
        && lateness.p99 > 1.0
        && lateness.p99 > latency.p50
    {
        doubts.push(format!(
            "The load itself was late by {:.1} ms (p99), more than the median latency: connections were too \
             few, or this machine too busy.",
            lateness.p99
        ));
    }
    doubts.extend(windows::drift(observed));
    doubts
}
