//! From a document to an experiment.

use std::path::Path;

use sabot_document::{Document, DocumentError};
use sabot_toxics::Invalid;
use serde_json::Value;

use super::vars::Vars;
use super::{Experiment, check};
use crate::load::Plan;

impl Experiment {
    /// Reads an experiment, its variables filled in.
    ///
    /// # Errors
    /// The field that is missing, unknown, of another type, out of range or at odds with another;
    /// with its place in the file.
    pub fn read(document: &Document, vars: &Vars) -> Result<Self, DocumentError> {
        let document = document.map_texts(|text| vars.fill(text))?;
        let refuse = |error: Invalid| document.refuse(&error.field, error.message);
        let Value::Object(mut map) = document.to_value() else {
            return Err(document.refuse("", "must be an object with `title`, `load` and `slos`"));
        };
        let load = map.remove("load").ok_or_else(|| document.refuse("load", "is missing"))?;
        let load = match load {
            Value::String(file) => beside(&document, &file, vars)?,
            plan => Plan::read(plan).map_err(|error| refuse(error.within("load")))?,
        };
        let mut experiment: Self = document.read_value(Value::Object(map))?;
        experiment.load = Some(load);
        check::check(&experiment).map_err(refuse)?;
        Ok(experiment)
    }
}

/// The load of another file, named relative to the experiment's: what several experiments share.
fn beside(document: &Document, file: &str, vars: &Vars) -> Result<Plan, DocumentError> {
    let folder = Path::new(document.file()).parent().unwrap_or(Path::new(""));
    // A file that cannot be read is a mistake of who names it.
    let load = Document::read(&folder.join(file)).map_err(|error| match error.position {
        Some(_) => error,
        None => document.refuse("load", error.to_string()),
    })?;
    let load = load.map_texts(|text| vars.fill(text))?;
    Plan::read(load.to_value()).map_err(|error| load.refuse(&error.field, error.message))
}
