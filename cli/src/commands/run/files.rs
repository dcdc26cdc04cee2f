//! From files to the runs that they ask for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sabot_document::{Document, DocumentError};
use sabot_runner::chaostoolkit::Experiment as ChaosExperiment;
use sabot_runner::experiment::Experiment;
use sabot_runner::experiment::schedule::Schedule;
use sabot_runner::experiment::vars::Vars;
use sabot_runner::run::RunError;

use super::NOTHING_RUN;
use crate::failure::Failure;

/// What is to be run.
pub(super) struct Planned {
    pub(super) runs: Vec<OneRun>,
    pub(super) cool_down: Duration,
}

/// One experiment, as its variant has it.
pub(super) struct OneRun {
    pub(super) file: PathBuf,
    document: Arc<Document>,
    /// How many actions of its `prepare` are the experiment's own; the rest are its variant's.
    own_prepare: usize,
    pub(super) variant: Option<String>,
    pub(super) experiment: Experiment,
    /// Its windows are not those of its own file.
    pub(super) has_other_windows: bool,
}

impl OneRun {
    /// What a run could not be begun for, with its place in the file if it is about a field.
    pub(super) fn refused(&self, error: &RunError) -> Failure {
        let help = "nothing was broken; see docs/experiments.md";
        let failure = match error {
            RunError::Fault { field, message } | RunError::Prepare { field, message } => {
                Failure::in_file(&self.document.refuse(&self.place(field), message.clone()), help)
            }
            _ => Failure::new(error.to_string(), help),
        };
        failure.with_code(NOTHING_RUN)
    }

    /// Where a field of the experiment stands in its file.
    fn place(&self, field: &str) -> String {
        let at = field.strip_prefix("prepare[").and_then(|rest| rest.strip_suffix(']'));
        match (at.and_then(|at| at.parse::<usize>().ok()), &self.variant) {
            (Some(at), Some(variant)) if at >= self.own_prepare => {
                format!("variants.{variant}.prepare[{}]", at - self.own_prepare)
            }
            _ => field.to_owned(),
        }
    }
}

/// Reads all that a file asks for, so that a mistake in the last experiment is known before the first.
pub(super) fn read(
    file: &Path,
    document: &Arc<Document>,
    variant: Option<&str>,
    vars: &Vars,
) -> anyhow::Result<Planned> {
    if !Schedule::is_one(document) {
        let unknown = |message: &str| {
            Failure::new(format!("{}: {message}", file.display()), "see its `variants`")
                .with_code(NOTHING_RUN)
        };
        let run = one(file, document, variant, vars, unknown)?;
        return Ok(Planned { runs: vec![run], cool_down: Duration::ZERO });
    }
    if variant.is_some() {
        let help = "it names the variants itself, for each of its runs";
        return Err(Failure::new("--variant does not go with a schedule", help)
            .with_code(NOTHING_RUN)
            .into());
    }
    let schedule = Schedule::read(document, vars).map_err(|error| refused(&error))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut runs = Vec::new();
    for (at, entry) in schedule.runs.iter().enumerate() {
        let file = folder.join(&entry.experiment);
        let of_entry =
            |field: &str, message: String| refused(&document.refuse(&format!("runs[{at}].{field}"), message));
        // A file that cannot be read is a mistake of who names it.
        let own = Document::read(&file).map_err(|error| match error.position {
            Some(_) => refused(&error),
            None => of_entry("experiment", error.to_string()),
        })?;
        let unknown = |message: &str| of_entry("variant", format!("{}: {message}", file.display()));
        let mut run = one(&file, &Arc::new(own), entry.variant.as_deref(), vars, unknown)?;
        run.experiment.expect = entry.expect.or(run.experiment.expect);
        if let Some(windows) = schedule.windows {
            run.experiment
                .set_windows(windows)
                .map_err(|error| refused(&document.refuse(&error.field, error.message)))?;
            run.has_other_windows = true;
        }
        runs.push(run);
    }
    Ok(Planned { runs, cool_down: schedule.cool_down.get() })
}

fn one(
    file: &Path,
    document: &Arc<Document>,
    variant: Option<&str>,
    vars: &Vars,
    unknown: impl Fn(&str) -> Failure,
) -> anyhow::Result<OneRun> {
    if ChaosExperiment::is_one(document) {
        let message = format!("{} is an experiment of the Chaos Toolkit", file.display());
        return Err(Failure::new(
            message,
            "run it by itself: it has no verdict that a schedule could expect",
        )
        .with_code(NOTHING_RUN)
        .into());
    }
    // What must be new in every run, such as keys that a service remembers, can be made of it.
    let mut vars = vars.clone();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    vars.add_defaults([("RUN".to_owned(), format!("{:x}", now.as_nanos()))]);
    let mut experiment = Experiment::read(document, &vars).map_err(|error| refused(&error))?;
    let own_prepare = experiment.prepare.len();
    if let Some(name) = variant {
        experiment = experiment.variant(name).map_err(|message| unknown(&message))?;
    }
    let variant = variant.map(str::to_owned);
    let document = Arc::clone(document);
    Ok(OneRun { file: file.to_owned(), document, own_prepare, variant, experiment, has_other_windows: false })
}

/// Reads a file; what it is about is not looked at yet.
pub(super) fn document(file: &Path) -> anyhow::Result<Arc<Document>> {
    Ok(Arc::new(Document::read(file).map_err(|error| refused(&error))?))
}

fn refused(error: &DocumentError) -> Failure {
    Failure::in_file(error, "nothing was run; docs/experiments.md shows what a file holds")
        .with_code(NOTHING_RUN)
}
