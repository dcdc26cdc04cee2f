//! The exit code of the runs: which verdicts are good enough.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sabot_runner::judge::Verdict;
use sabot_runner::record::Record;
use sabot_runner::report::{self, Committed, Outcome, regressions};

use super::{NOTHING_RUN, view};
use crate::failure::Failure;
use crate::runs;

/// What the verdicts are held against.
#[derive(Args)]
pub(super) struct Gate {
    /// Which verdicts make the exit code 1
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    fail_on: FailOn,
    /// The committed results that `--fail-on regressed` compares with
    #[arg(long, value_name = "FILE")]
    pub(super) results: Option<PathBuf>,
    /// Write what the runs came to into the file of --results
    #[arg(long, requires = "results")]
    update: bool,
}

/// Which verdicts make the exit code 1.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// One that is not the expected one
    #[default]
    Unexpected,
    /// One that is worse than the committed one
    Regressed,
    /// One that is worse than degraded
    Failed,
    /// None
    Never,
}

impl Gate {
    /// The committed results, before anything is run: none if none are asked for, or to be written first.
    pub(super) fn committed(&self) -> anyhow::Result<Option<Committed>> {
        let help = "name the committed results by --results; `--update` writes them";
        let refused = |message: String| Failure::new(message, help).with_code(NOTHING_RUN);
        let Some(file) = &self.results else {
            let regressed = self.fail_on == FailOn::Regressed;
            let told = || refused("--fail-on regressed has nothing to compare".to_owned());
            return if regressed { Err(told().into()) } else { Ok(None) };
        };
        if self.update {
            runs::check_writable(file).map_err(|error| error.with_code(NOTHING_RUN))?;
            if !file.exists() {
                return Ok(None);
            }
        }
        Ok(Some(Committed::read(file).map_err(|error| refused(error.to_string()))?))
    }

    /// Why each run makes the exit code 1; none for those that do not. What else changed against the
    /// committed results is told.
    pub(super) fn failures(&self, records: &[Record], committed: Option<&Committed>) -> Vec<Option<String>> {
        let failed = |record: &Record| record.judgement.verdict.badness() >= Verdict::Failed.badness();
        if self.update {
            return vec![None; records.len()];
        }
        match (self.fail_on, committed) {
            (FailOn::Regressed, Some(committed)) => regressed(records, committed),
            (FailOn::Unexpected, _) => records.iter().map(report::unexpected).collect(),
            (FailOn::Failed, _) => {
                records.iter().map(|record| failed(record).then(|| told(record))).collect()
            }
            (FailOn::Never | FailOn::Regressed, _) => vec![None; records.len()],
        }
    }

    /// The exit code, as an error that says which runs make it so.
    pub(super) fn judge(&self, records: &[Record], failures: Vec<Option<String>>) -> anyhow::Result<()> {
        let bad: Vec<String> = failures.into_iter().flatten().collect();
        if self.update
            && let Some(file) = &self.results
        {
            let mut committed = if file.exists() { Committed::read(file)? } else { Committed::default() };
            committed.update(records);
            committed.write(file)?;
            return Ok(());
        }
        if bad.is_empty() {
            return Ok(());
        }
        Err(Failure::new(bad.join("; "), "`sabot run --help` says when the exit code is 0").into())
    }
}

/// What fell behind the committed results, of each run; all else that changed is told.
fn regressed(records: &[Record], committed: &Committed) -> Vec<Option<String>> {
    let mut failures = vec![None; records.len()];
    for change in regressions(records, committed) {
        let is_it = |record: &Record| record.title == change.experiment && record.variant == change.variant;
        match records.iter().rposition(is_it) {
            // Of several runs of one experiment and variant the last one counts.
            Some(at) if change.outcome == Outcome::Regressed => failures[at] = Some(change.told),
            _ => view::note(&change.told),
        }
    }
    failures
}

fn told(record: &Record) -> String {
    format!("{}: {}", report::title(record), record.judgement.verdict.name())
}
