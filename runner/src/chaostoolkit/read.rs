//! From a document to an experiment.

use sabot_document::{Document, DocumentError};
use sabot_toxics::Invalid;
use serde_json::Value;

use super::activity::{self, Activity, Named};
use super::check::{Object, given, list, object, optional_object, text};
use super::configuration::{self, Lookup};
use super::provider::Provider;
use super::scope::Scope;
use super::settings::Dry;

/// An experiment of the Chaos Toolkit that can be carried out.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// As the file has it, for the journal.
    pub(super) raw: Value,
    pub(super) title: String,
    pub(super) dry: Option<Dry>,
    pub(super) scope: Scope,
    /// Values that probes give before anything else is done, by name.
    pub(super) dynamic: Vec<(String, Provider)>,
    pub(super) hypothesis: Option<Hypothesis>,
    pub(super) method: Vec<Activity>,
    pub(super) rollbacks: Vec<Activity>,
    warnings: Vec<String>,
}

/// What is to be true of a system that is well.
#[derive(Clone, Debug)]
pub(super) struct Hypothesis {
    pub(super) title: String,
    pub(super) probes: Vec<Activity>,
}

impl Experiment {
    /// Whether a document is an experiment of the Chaos Toolkit.
    #[must_use]
    pub fn is_one(document: &Document) -> bool {
        let value = document.to_value();
        value.get("method").is_some() || value.get("steady-state-hypothesis").is_some()
    }

    /// Reads an experiment. `set` holds names and values that go before those of the configuration and
    /// of the environment; a name may say the type of its value, as in `port:int`.
    ///
    /// # Errors
    /// The field that is missing, of another type, or cannot be carried out; with its place in the file.
    pub fn read(document: &Document, set: &[(String, String)]) -> Result<Self, DocumentError> {
        read(document.to_value(), &Lookup { set })
            .map_err(|error| document.refuse(error.field.trim_end_matches('.'), error.message))
    }

    /// What it is called.
    #[must_use]
    pub fn title(&self) -> String {
        self.scope.text(&self.title)
    }

    /// What of it is not carried out.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

fn read(raw: Value, lookup: &Lookup<'_>) -> Result<Experiment, Invalid> {
    let file = object("", &raw)?;
    let title = text(file, "title")?.to_owned();
    text(file, "description")?;
    for (at, tag) in list(file, "tags")?.iter().enumerate() {
        if tag.as_str().is_none_or(str::is_empty) {
            return Err(Invalid::new(format!("tags[{at}]"), "must be text, and not empty"));
        }
    }
    if given(file, "method").is_none() {
        let message = "is missing; write an empty list to look at the hypothesis only";
        return Err(Invalid::new("method", message));
    }
    let hypothesis = optional_object(file, "steady-state-hypothesis")?;
    let probes = hypothesis.map(|hypothesis| list(hypothesis, "probes")).transpose();
    let probes = probes.map_err(|error| error.within(HYPOTHESIS))?.unwrap_or_default();
    let method = list(file, "method")?;

    let mut named = Named::new();
    name(&mut named, "method", method)?;
    name(&mut named, &format!("{HYPOTHESIS}.probes"), probes)?;
    let scope = configuration::read(file, lookup)?;
    Ok(Experiment {
        dry: activity::dry(file)?,
        dynamic: dynamic(file)?,
        hypothesis: hypothesis.map(|hypothesis| read_hypothesis(hypothesis, probes, &named)).transpose()?,
        method: activities("method", method, &named)?,
        rollbacks: activities("rollbacks", list(file, "rollbacks")?, &named)?,
        warnings: warnings(file),
        title,
        scope,
        raw,
    })
}

const HYPOTHESIS: &str = "steady-state-hypothesis";

fn read_hypothesis(of: &Object, probes: &[Value], named: &Named) -> Result<Hypothesis, Invalid> {
    let title = text(of, "title").map_err(|error| error.within(HYPOTHESIS))?.to_owned();
    let field = format!("{HYPOTHESIS}.probes");
    let probes = activities(&field, probes, named)?;
    if let Some(at) = probes.iter().position(|probe| probe.tolerance.is_none()) {
        return Err(Invalid::new(format!("{field}[{at}].tolerance"), "is missing"));
    }
    Ok(Hypothesis { title, probes })
}

/// Reads those that others may refer to.
fn name(named: &mut Named, field: &str, all: &[Value]) -> Result<(), Invalid> {
    for (at, raw) in all.iter().enumerate() {
        if raw.get("ref").is_none() {
            let activity = Activity::read(raw).map_err(|error| error.within(&format!("{field}[{at}]")))?;
            named.insert(activity.name.clone(), activity);
        }
    }
    Ok(())
}

fn activities(field: &str, all: &[Value], named: &Named) -> Result<Vec<Activity>, Invalid> {
    let read = |(at, raw): (usize, &Value)| {
        Activity::read_or_find(raw, named).map_err(|error| error.within(&format!("{field}[{at}]")))
    };
    all.iter().enumerate().map(read).collect()
}

fn dynamic(file: &Object) -> Result<Vec<(String, Provider)>, Invalid> {
    let read = |(name, probe): (&String, &Object)| {
        let provider = Provider::read(probe);
        Ok((name.clone(), provider.map_err(|error| error.within(&format!("configuration.{name}")))?))
    };
    configuration::dynamic(file)?.into_iter().map(read).collect()
}

/// Parts of the format that are left out, and where they stand.
fn warnings(file: &Object) -> Vec<String> {
    let mut fields = Vec::new();
    controls(file, "", &mut fields);
    fields.sort();
    fields
        .iter()
        .map(|field| format!("{field} are ignored: controls are Python, which Sabot does not run"))
        .collect()
}

fn controls(of: &Object, path: &str, found: &mut Vec<String>) {
    for (name, value) in of {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Array(list) if name == "controls" && !list.is_empty() => found.push(path),
            Value::Array(list) => {
                for (at, value) in list.iter().enumerate() {
                    if let Some(of) = value.as_object() {
                        controls(of, &format!("{path}[{at}]"), found);
                    }
                }
            }
            // Values and arguments are no part of the format.
            Value::Object(of) if !matches!(name.as_str(), "provider" | "configuration" | "secrets") => {
                controls(of, &path, found);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
