//! Several experiments, one after another.

use sabot_document::{Document, DocumentError};
use sabot_toxics::units::Millis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::vars::Vars;
use crate::judge::Verdict;

/// A schedule: what `sabot run` carries out one at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// What it is called.
    pub title: String,
    /// How long the system is left alone between two runs.
    #[serde(default = "cool_down")]
    pub cool_down: Millis,
    /// Windows of all runs, instead of the experiments' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<super::Windows>,
    /// What is run, in order.
    pub runs: Vec<Entry>,
}

/// One run of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The experiment's file, relative to the schedule's.
    pub experiment: String,
    /// Which of its variants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The verdict that is expected, instead of the experiment's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Verdict>,
}

fn cool_down() -> Millis {
    Millis::new(10_000)
}

impl Schedule {
    /// Whether a document is a schedule rather than an experiment.
    #[must_use]
    pub fn is_one(document: &Document) -> bool {
        document.to_value().get("runs").is_some()
    }

    /// Reads a schedule, its variables filled in.
    ///
    /// # Errors
    /// The field that is missing, unknown or of another type; with its place in the file.
    pub fn read(document: &Document, vars: &Vars) -> Result<Self, DocumentError> {
        let document = document.map_texts(|text| vars.fill(text))?;
        let schedule: Self = document.to()?;
        if schedule.runs.is_empty() {
            return Err(document.refuse("runs", "must hold a run"));
        }
        Ok(schedule)
    }
}
