//! Probes and actions as the file has them.

use std::collections::BTreeMap;

use sabot_toxics::Invalid;
use serde_json::Value;

use super::check::{self, Object, given, object, seconds, switch, text};
use super::provider::Provider;
use super::settings::Dry;
use super::tolerance::Tolerance;

/// A probe or an action.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    /// As the file has it, for the journal.
    pub(super) raw: Value,
    pub(super) name: String,
    pub(super) is_probe: bool,
    pub(super) provider: Provider,
    /// Seconds, or `${name}` for them.
    pub(super) pause_before: Option<Value>,
    pub(super) pause_after: Option<Value>,
    /// Whether the next one begins without waiting for it.
    pub(super) background: bool,
    /// What of it is told instead of done.
    pub(super) dry: Option<Dry>,
    /// What a probe of the hypothesis may give.
    pub(super) tolerance: Option<Tolerance>,
}

/// Activities that others refer to by name.
pub(super) type Named = BTreeMap<String, Activity>;

impl Activity {
    /// Reads one that stands for itself.
    ///
    /// # Errors
    /// The field that is missing or cannot be carried out.
    pub(super) fn read(raw: &Value) -> Result<Self, Invalid> {
        let of = object("", raw)?;
        let is_probe = match text(of, "type")? {
            "probe" => true,
            "action" => false,
            other => {
                let message = format!("`{other}` is not known, known are: probe, action");
                return Err(Invalid::new("type", message));
            }
        };
        let pauses = check::optional_object(of, "pauses")?;
        let pause = |field: &str| match pauses {
            Some(pauses) => seconds(pauses, field).map_err(|error| error.within("pauses")),
            None => Ok(None),
        };
        Ok(Self {
            raw: raw.clone(),
            name: text(of, "name")?.to_owned(),
            is_probe,
            provider: Provider::read(of)?,
            pause_before: pause("before")?,
            pause_after: pause("after")?,
            background: switch(of, "background", false)?,
            dry: dry(of)?,
            tolerance: tolerance(of)?,
        })
    }

    /// Reads one that may be the name of another.
    ///
    /// # Errors
    /// As [`read`](Self::read), and if there is no other of that name.
    pub(super) fn read_or_find(raw: &Value, named: &Named) -> Result<Self, Invalid> {
        let of = object("", raw)?;
        if given(of, "ref").is_none() {
            return Self::read(raw);
        }
        let name = text(of, "ref")?;
        let found = named.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = named.keys().map(String::as_str).collect();
            Invalid::new("ref", format!("there is no `{name}`{}", sabot_toxics::suggestion(name, &known)))
        })?;
        Ok(Self {
            background: switch(of, "background", false)?,
            tolerance: tolerance(of)?.or_else(|| found.tolerance.clone()),
            ..found
        })
    }
}

fn tolerance(of: &Object) -> Result<Option<Tolerance>, Invalid> {
    let tolerance = of.get("tolerance").map(Tolerance::read).transpose();
    tolerance.map_err(|error| error.within("tolerance"))
}

/// The `dry` of a file or an activity.
pub(super) fn dry(of: &Object) -> Result<Option<Dry>, Invalid> {
    match given(of, "dry") {
        None | Some(Value::Bool(false)) => Ok(None),
        // What it meant before it had names.
        Some(Value::Bool(true)) => Ok(Some(Dry::Activities)),
        Some(Value::String(name)) if name.is_empty() => Ok(None),
        Some(Value::String(name)) => name.parse().map(Some).map_err(|message| Invalid::new("dry", message)),
        Some(other) => Err(check::wrong("dry", &Dry::NAMES.join(", "), other)),
    }
}
