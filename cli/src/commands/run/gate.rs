//! The exit code of the runs: which verdicts are good enough.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sabot_runner::judge::Verdict;
use sabot_runner::record::Record;
use sabot_runner::report::{self, Committed, Outcome, regressions};

use super::view;
use crate::failure::Failure;

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
    /// The exit code, as an error that says which runs make it so.
    pub(super) fn judge(&self, records: &[Record]) -> anyhow::Result<()> {
        let bad: Vec<String> = match self.fail_on {
            FailOn::Regressed => self.regressed(records)?,
            FailOn::Unexpected => records.iter().filter(|record| !record.as_expected()).map(told).collect(),
            FailOn::Failed => {
                let worse =
                    |record: &&Record| record.judgement.verdict.badness() >= Verdict::Failed.badness();
                records.iter().filter(worse).map(told).collect()
            }
            FailOn::Never => Vec::new(),
        };
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

    /// What fell behind the committed results; all else that changed is told.
    fn regressed(&self, records: &[Record]) -> anyhow::Result<Vec<String>> {
        let help = "name the committed results by --results; `--update` writes them";
        let file = self
            .results
            .as_ref()
            .ok_or_else(|| Failure::new("--fail-on regressed has nothing to compare", help))?;
        if self.update && !file.exists() {
            return Ok(Vec::new());
        }
        let committed = Committed::read(file).map_err(|error| Failure::new(error.to_string(), help))?;
        let changes = regressions(records, &committed);
        let (bad, other): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.outcome == Outcome::Regressed);
        for change in other {
            view::note(&change.told);
        }
        Ok(bad.into_iter().map(|change| change.told).collect())
    }
}

fn told(record: &Record) -> String {
    let expected = record.expect.unwrap_or(Verdict::Held).name();
    format!("{}: {}, expected {expected}", report::title(record), record.judgement.verdict.name())
}
