//! Runs against results that somebody committed: the CI job.

use std::path::{Path, PathBuf};

use sabot_document::{Document, DocumentError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text;
use crate::judge::Verdict;
use crate::record::Record;

/// A file of committed results: what each experiment came to when somebody last looked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Committed {
    /// One for each experiment and variant.
    pub results: Vec<CommittedResult>,
}

/// What one experiment came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommittedResult {
    /// The experiment's title.
    pub experiment: String,
    /// The variant, if it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// The MTTR in seconds that came with it; to be read, not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mttr_s: Option<f64>,
    /// A longer MTTR than this many seconds is a regression, whatever the verdict. Written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_mttr_s: Option<f64>,
}

/// How an experiment's new result compares to the committed one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The experiment's title.
    pub experiment: String,
    /// The variant, if it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The committed verdict; none if there is none.
    pub committed: Option<Verdict>,
    /// The new verdict; none if it was not run.
    pub now: Option<Verdict>,
    /// What that means.
    pub outcome: Outcome,
    /// The same as a sentence.
    pub told: String,
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Worse than committed: the build fails.
    Regressed,
    /// Better than committed: worth committing.
    Improved,
    /// Run, but not committed.
    New,
    /// Committed, but not run.
    Missing,
}

/// Why committed results cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CommittedError {
    /// The file says something that cannot be.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The file could not be written.
    #[error("failed to write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The results could not be put into words, which none should be able to cause.
    #[error("failed to write the committed results: {0}")]
    Serialize(String),
}

/// What changed against the committed results, the regressions first; what is as committed is left
/// out. Of several records of one experiment and variant the last one counts.
#[must_use]
pub fn regressions(results: &[Record], committed: &Committed) -> Vec<Change> {
    let newest = newest(results);
    let mut changes: Vec<Change> = newest.iter().filter_map(|record| change(record, committed)).collect();
    let was_run = |result: &&CommittedResult| newest.iter().any(|record| result.is_of(record));
    let missing = committed.results.iter().filter(|result| !was_run(result)).map(|result| Change {
        experiment: result.experiment.clone(),
        variant: result.variant.clone(),
        committed: Some(result.verdict),
        now: None,
        outcome: Outcome::Missing,
        told: format!("{}: it was {}, and was not run.", result.name(), result.verdict.name()),
    });
    changes.extend(missing);
    // Stable: within an outcome they stay in the order in which they were run.
    changes.sort_by_key(|change| change.outcome as u8);
    changes
}

fn change(record: &Record, committed: &Committed) -> Option<Change> {
    let was = committed.results.iter().find(|result| result.is_of(record));
    let now = record.judgement.verdict;
    let name = super::title(record);
    let (outcome, told) = match was {
        None => {
            (Outcome::New, format!("{name}: {}, and nothing is committed to compare it with.", now.name()))
        }
        Some(was) if now.badness() > was.verdict.badness() => {
            (Outcome::Regressed, format!("{name}: it was {}, and is {}.", was.verdict.name(), now.name()))
        }
        Some(was) if too_slow(was, record) => {
            let allowed = was.max_mttr_s.map(text::seconds).unwrap_or_default();
            let took = text::mttr(&record.judgement);
            (
                Outcome::Regressed,
                format!("{name}: its time to recovery is {took}, at most {allowed} are committed."),
            )
        }
        Some(was) if now.badness() < was.verdict.badness() => {
            (Outcome::Improved, format!("{name}: it was {}, and is {}.", was.verdict.name(), now.name()))
        }
        Some(_) => return None,
    };
    Some(Change {
        experiment: record.title.clone(),
        variant: record.variant.clone(),
        committed: was.map(|was| was.verdict),
        now: Some(now),
        outcome,
        told,
    })
}

/// One that never recovers is slower than any bound.
fn too_slow(was: &CommittedResult, record: &Record) -> bool {
    let took = record.judgement.mttr_s.unwrap_or(f64::INFINITY);
    was.max_mttr_s.is_some_and(|allowed| took > allowed)
}

fn newest(results: &[Record]) -> Vec<&Record> {
    let mut newest: Vec<&Record> = Vec::new();
    for record in results {
        match newest.iter_mut().find(|other| other.title == record.title && other.variant == record.variant) {
            Some(other) => *other = record,
            None => newest.push(record),
        }
    }
    newest
}

impl CommittedResult {
    fn is_of(&self, record: &Record) -> bool {
        self.experiment == record.title && self.variant == record.variant
    }

    fn name(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{} ({variant})", self.experiment),
            None => self.experiment.clone(),
        }
    }
}

impl Committed {
    /// Reads a file of committed results: YAML, JSON or TOML, by its ending.
    ///
    /// # Errors
    /// It cannot be read, or says something that cannot be; the error says where. Two results of one
    /// experiment and variant contradict each other.
    pub fn read(path: &Path) -> Result<Self, CommittedError> {
        let document = Document::read(path)?;
        let committed: Self = document.to()?;
        for (at, result) in committed.results.iter().enumerate() {
            let same = |other: &CommittedResult| {
                other.experiment == result.experiment && other.variant == result.variant
            };
            if let Some(first) = committed.results[..at].iter().position(same) {
                let message =
                    format!("`{}` stands in results[{first}] already: remove one of them", result.name());
                return Err(document.refuse(&format!("results[{at}].experiment"), message).into());
            }
            if result.max_mttr_s.is_some_and(|allowed| !allowed.is_finite() || allowed < 0.0) {
                let message = "must be a number of seconds, 0 or more";
                return Err(document.refuse(&format!("results[{at}].max_mttr_s"), message).into());
            }
        }
        Ok(committed)
    }

    /// Takes over what these runs came to. Results that were not run stay, and so do their bounds.
    pub fn update(&mut self, results: &[Record]) {
        for record in newest(results) {
            let (verdict, mttr_s) = (record.judgement.verdict, record.judgement.mttr_s);
            match self.results.iter_mut().find(|result| result.is_of(record)) {
                Some(result) => (result.verdict, result.mttr_s) = (verdict, mttr_s),
                None => self.results.push(CommittedResult {
                    experiment: record.title.clone(),
                    variant: record.variant.clone(),
                    verdict,
                    mttr_s,
                    max_mttr_s: None,
                }),
            }
        }
    }

    /// Writes them to a file: JSON if its name ends so, else YAML. The file is replaced as a whole or
    /// not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CommittedError> {
        let is_json = path.extension().is_some_and(|ending| ending == "json");
        let text = if is_json {
            serde_json::to_string_pretty(self)
                .map_err(|error| CommittedError::Serialize(error.to_string()))?
                + "\n"
        } else {
            let yaml = serde_saphyr::to_string(self)
                .map_err(|error| CommittedError::Serialize(error.to_string()))?;
            format!("# Written by `sabot run --update`; max_mttr_s is yours to add.\n{}\n", yaml.trim_end())
        };
        let error = |error| CommittedError::Write { path: path.to_owned(), error };
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.new", std::process::id()));
        std::fs::write(&beside, text).map_err(error)?;
        std::fs::rename(&beside, path).map_err(|reason| {
            // The original stands as it was; nothing else is left to do for the copy.
            let _ = std::fs::remove_file(&beside);
            error(reason)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn with(verdict: Verdict, mttr_s: Option<f64>) -> Record {
        let mut record = sample::on();
        (record.judgement.verdict, record.judgement.mttr_s) = (verdict, mttr_s);
        record
    }

    fn committed(verdict: Verdict) -> Committed {
        let mut committed = Committed::default();
        committed.update(&[with(verdict, Some(0.0))]);
        committed
    }

    #[test]
    fn worse_is_a_regression_and_better_is_not() {
        use Verdict::{Aborted, Degraded, Failed, Held, Invalid};
        let table = [
            (Held, Held, None),
            (Held, Degraded, Some(Outcome::Regressed)),
            (Degraded, Failed, Some(Outcome::Regressed)),
            (Failed, Aborted, Some(Outcome::Regressed)),
            (Held, Invalid, Some(Outcome::Regressed)),
            (Failed, Invalid, Some(Outcome::Regressed)),
            (Failed, Held, Some(Outcome::Improved)),
            (Degraded, Degraded, None),
        ];
        for (was, now, outcome) in table {
            let changes = regressions(&[with(now, Some(0.0))], &committed(was));
            assert_eq!(changes.first().map(|change| change.outcome), outcome, "{was:?} → {now:?}");
        }
    }

    #[test]
    fn new_and_missing_are_told_after_regressions() {
        let mut other = sample::off();
        other.title = "Another".into();
        let mut held = committed(Verdict::Held);
        held.results.push(CommittedResult { experiment: "Gone".into(), ..held.results[0].clone() });
        let changes = regressions(&[other, with(Verdict::Degraded, Some(1.0))], &held);
        let outcomes: Vec<_> = changes.iter().map(|change| change.outcome).collect();
        assert_eq!(outcomes, [Outcome::Regressed, Outcome::New, Outcome::Missing]);
        assert_eq!(
            changes[0].told,
            "Payments answer 200 ms later (mitigations on): it was held, and is degraded."
        );
        assert_eq!(changes[2].told, "Gone (mitigations on): it was held, and was not run.");
    }

    #[test]
    fn a_bound_on_recovery_is_kept_and_held_against_a_run() {
        let mut held = committed(Verdict::Degraded);
        held.results[0].max_mttr_s = Some(10.0);
        held.update(&[with(Verdict::Degraded, Some(4.0))]);
        assert_eq!((held.results[0].mttr_s, held.results[0].max_mttr_s), (Some(4.0), Some(10.0)));
        assert_eq!(regressions(&[with(Verdict::Degraded, Some(10.0))], &held), []);
        assert_eq!(regressions(&[with(Verdict::Degraded, Some(10.5))], &held)[0].outcome, Outcome::Regressed);
        assert_eq!(regressions(&[with(Verdict::Degraded, None)], &held)[0].outcome, Outcome::Regressed);
    }

    #[test]
    fn files_are_written_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["results.yaml", "results.json"] {
            let path = directory.path().join(name);
            let mut written = committed(Verdict::Held);
            written.results[0].experiment = "yes: #'\"".into();
            written.write(&path).unwrap();
            assert_eq!(Committed::read(&path).unwrap(), written, "{name}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left beside them");
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("results.yaml");
        for (text, told) in [
            ("results:\n- experiment: a\n  verdict: hold\n", "results.yaml:3:"),
            (
                "results:\n- experiment: a\n  verdict: held\n- experiment: a\n  verdict: failed\n",
                "results.yaml:4:",
            ),
            ("results:\n- experiment: a\n  verdict: held\n  max_mttr_s: -1\n", "results.yaml:4:"),
            ("results:\n- experiment: a\n  verdict: held\n  mttr: 3\n", "results.yaml:4:"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Committed::read(&path).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("results["), "{error}");
        }
    }
}
