//! Carries an experiment out: load, fault, revert, verdict.
//!
//! - [`run`] is the whole; `course` drives the load through its phases, second by second;
//! - `faults`: puts toxics on and takes them off, on every way out; `neighbours`: what others have on their
//!   proxies;
//! - `stop`: the conditions that end a run at once;
//! - `sampling`: asks the SLIs; `far_side`: counts what reached the proxies;
//! - [`Observer`]: who wants to see it happen.

mod course;
mod far_side;
mod faults;
mod neighbours;
mod observer;
pub(crate) mod sampling;
mod stop;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use sabot_client::Client;
use tokio::sync::watch;

pub use observer::{Observer, Progress};

use crate::experiment::{Action, Experiment};
use crate::judge::{Judgement, Observed, Phases, Verdict, judge};
use crate::load::LoadError;
use crate::record::{FORMAT, Record, Versions, numbers};
use crate::slo::Names;
use course::Course;
use faults::Faults;

/// Becomes a reason when the work is to end at once, such as at Ctrl-C.
pub type Interrupt = watch::Receiver<Option<String>>;

/// What a run needs beside its experiment.
#[derive(Clone, Debug)]
pub struct Options {
    /// The API of the server that has the proxies.
    pub client: Client,
    /// The variant that the experiment was made with.
    pub variant: Option<String>,
    /// The command that runs it again.
    pub command: String,
    /// Ends it at once.
    pub interrupt: Interrupt,
}

/// Why a run did not take place. Nothing is broken then, and nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The load cannot be what the plan says.
    #[error("{0}")]
    Load(sabot_toxics::Invalid),
    /// The load could not start.
    #[error(transparent)]
    Start(#[from] LoadError),
    /// A proxy or a toxic is not to be had.
    #[error("{field}: {message}")]
    Fault {
        /// Which, such as `faults[0]`.
        field: String,
        /// What the server said, and what to do.
        message: String,
    },
    /// An action of `prepare` failed.
    #[error("{field}: {message}")]
    Prepare {
        /// Which, such as `prepare[0]`.
        field: String,
        /// What failed.
        message: String,
    },
    /// It was ended before it began.
    #[error("{0}")]
    Interrupted(String),
}

/// Runs an experiment to its record. Whatever happens – a stop condition, an interrupt, a panic – the
/// faults are taken back and `cleanup` is done before this returns; if the process dies, the server's own
/// expiry ends them.
///
/// Dropping the future leaves the faults to that expiry.
///
/// # Errors
/// It did not take place.
pub async fn run(
    experiment: &Experiment,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Record, RunError> {
    let id = identity();
    let load = Arc::new(experiment.load().map_err(RunError::Load)?);
    let mut faults = Faults::new(&experiment.faults, &options.client, &id.name);
    let server = faults.rehearse().await?;
    let whole = async {
        prepare(&experiment.prepare, &options.interrupt, observer).await?;
        let mut course = Course::new(experiment, &load, options, observer);
        let ended = course.drive(&mut faults).await;
        ended.map(|ended| (ended, course.finish()))
    };
    let outcome = AssertUnwindSafe(whole).catch_unwind().await;
    faults.revert(observer).await;
    let warnings = clean_up(&experiment.cleanup).await;
    // A panic goes on, but only now that nothing is broken any more.
    let (ended, seen) = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let (summary, series) = seen.recorder.finish(&load, ended.load);
    let names = Names::of(&load);
    let observed = Observed { names: &names, series: &series, slis: &seen.slis, phases: &ended.phases };
    let stable_s = crate::experiment::whole_seconds(experiment.stable.get());
    let doubts = faults.doubts();
    let verdict = |doubts: &[String]| {
        judge(&observed, &experiment.objectives(), ended.aborted.as_deref(), doubts, stable_s)
    };
    let mut judgement = verdict(&doubts);
    if !seen.unsteady.is_empty() && !matches!(judgement.verdict, Verdict::Invalid | Verdict::Aborted) {
        // What was still under way as the baseline ended has made it good, but nothing was broken.
        judgement = verdict(&seen.unsteady);
    }
    if experiment.faults.is_empty() {
        without_fault(&mut judgement);
    }
    if ended.aborted.is_some() {
        // What is wrong with the faults is no reason then, but still to be known.
        judgement.warnings.extend(doubts);
    }
    judgement.warnings.extend(seen.warnings);
    judgement.warnings.extend(warnings);
    let seconds = ended.phases.end_s;
    Ok(Record {
        format: FORMAT,
        id: id.name,
        title: experiment.title.clone(),
        hypothesis: experiment.hypothesis.clone(),
        variant: options.variant.clone(),
        started_at: id.started_at,
        command: options.command.clone(),
        versions: Versions { runner: env!("CARGO_PKG_VERSION").to_owned(), server },
        faults: faults.records(),
        load: summary,
        parts: numbers::parts(&series, &names, &ended.phases),
        far_side: seen.far_side,
        slis: seen.slis.iter().map(|(name, samples)| (name.clone(), samples.by_second(seconds))).collect(),
        timeline: numbers::timeline(&series, seconds, |_| true),
        endpoints: numbers::endpoints(&series, &names, seconds),
        heat_map: numbers::heat_map(&series, seconds),
        phases: ended.phases,
        judgement,
        expect: experiment.expect,
    })
}

/// What a run proves in which nothing was broken.
fn without_fault(judgement: &mut Judgement) {
    (judgement.recovery, judgement.mttr_s) = (None, None);
    if judgement.verdict == Verdict::Held {
        judgement.reasons =
            vec!["Every objective was met. Nothing was broken: there is no fault.".to_owned()];
    }
}

/// Does these actions in order.
pub(crate) async fn prepare(
    actions: &[Action],
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    for (at, action) in actions.iter().enumerate() {
        observer.said(&format!("preparing: {}", action.label()));
        let done = unless_interrupted(interrupt, action.run()).await?;
        done.map_err(|message| RunError::Prepare { field: format!("prepare[{at}]"), message })?;
    }
    Ok(())
}

/// Does the actions of `cleanup`, each whatever became of the one before; a sentence for each that failed.
pub(crate) async fn clean_up(actions: &[Action]) -> Vec<String> {
    let mut warnings = Vec::new();
    for action in actions {
        if let Err(message) = action.run().await {
            warnings.push(format!("Cleaning up: {message}."));
        }
    }
    warnings
}

/// Does what comes before the load, unless it is to end at once. Drops `work` then.
pub(crate) async fn unless_interrupted<T>(
    interrupt: &Interrupt,
    work: impl Future<Output = T>,
) -> Result<T, RunError> {
    let mut interrupt = interrupt.clone();
    tokio::select! {
        biased;
        reason = interrupted(&mut interrupt) => Err(RunError::Interrupted(reason)),
        done = work => Ok(done),
    }
}

/// Waits for a reason to end. Cancel safe.
pub(crate) async fn interrupted(interrupt: &mut Interrupt) -> String {
    match interrupt.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().unwrap_or_default(),
        // Nobody is left who could interrupt.
        Err(_) => std::future::pending().await,
    }
}

struct Identity {
    name: String,
    started_at: String,
}

/// A run is named by the millisecond in which it began and the process that carries it out: toxics and
/// files are named by it, and two runs may begin at once.
fn identity() -> Identity {
    let now = jiff::Timestamp::now();
    Identity {
        name: format!("{}-{:x}", now.strftime("%Y%m%d-%H%M%S-%3f"), std::process::id()),
        started_at: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}

/// How a run's course ended.
#[derive(Debug)]
struct CourseEnd {
    phases: Phases,
    aborted: Option<String>,
    load: crate::load::Ended,
}
