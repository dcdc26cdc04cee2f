//! From files to the runs that they ask for.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sabot_document::{Document, DocumentError};
use sabot_runner::chaostoolkit::Experiment as ChaosExperiment;
use sabot_runner::experiment::Experiment;
use sabot_runner::experiment::schedule::Schedule;
use sabot_runner::experiment::vars::Vars;

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
    pub(super) variant: Option<String>,
    pub(super) experiment: Experiment,
}

/// Reads all that a file asks for, so that a mistake in the last experiment is known before the first.
pub(super) fn read(
    file: &Path,
    document: &Document,
    variant: Option<&str>,
    vars: &Vars,
) -> anyhow::Result<Planned> {
    if !Schedule::is_one(document) {
        let run = one(file, document, variant, vars)?;
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
    for entry in &schedule.runs {
        let file = folder.join(&entry.experiment);
        let own = Document::read(&file).map_err(|error| refused(&error))?;
        let mut run = one(&file, &own, entry.variant.as_deref(), vars)?;
        run.experiment.expect = entry.expect.or(run.experiment.expect);
        if let Some(windows) = schedule.windows {
            run.experiment
                .set_windows(windows)
                .map_err(|error| refused(&document.refuse(&error.field, error.message)))?;
        }
        runs.push(run);
    }
    Ok(Planned { runs, cool_down: schedule.cool_down.get() })
}

fn one(file: &Path, document: &Document, variant: Option<&str>, vars: &Vars) -> anyhow::Result<OneRun> {
    if ChaosExperiment::is_one(document) {
        let message = format!("{} is an experiment of the Chaos Toolkit", file.display());
        return Err(Failure::new(
            message,
            "run it by itself: it has no verdict that a schedule could expect",
        )
        .into());
    }
    // What must be new in every run, such as keys that a service remembers, can be made of it.
    let mut vars = vars.clone();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    vars.add_defaults([("RUN".to_owned(), format!("{:x}", now.as_nanos()))]);
    let mut experiment = Experiment::read(document, &vars).map_err(|error| refused(&error))?;
    if let Some(name) = variant {
        experiment = experiment.variant(name).map_err(|message| {
            Failure::new(format!("{}: {message}", file.display()), "see its `variants`")
                .with_code(NOTHING_RUN)
        })?;
    }
    Ok(OneRun { file: file.to_owned(), variant: variant.map(str::to_owned), experiment })
}

/// Reads a file; what it is about is not looked at yet.
pub(super) fn document(file: &Path) -> anyhow::Result<Document> {
    Ok(Document::read(file).map_err(|error| refused(&error))?)
}

fn refused(error: &DocumentError) -> Failure {
    Failure::in_file(error, "nothing was run; docs/experiments.md shows what a file holds")
        .with_code(NOTHING_RUN)
}
