//! What is asked for: a fault with all that makes it safe to try.
//!
//! Read strictly. Each of the six parts has to be there, since each answers a question that
//! somebody will ask in the night; an error says which.

mod fault;
mod selector;

use std::time::Duration;

use sabot_toxics::{Invalid, suggestion};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use fault::Fault;
pub use selector::{Labels, Selector};

/// An injection as it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What may break.
    pub target: Target,
    /// How it breaks.
    pub fault: Fault,
    /// For how long; a fault ends by itself.
    pub duration_seconds: f64,
    /// What has to stay true; without it only the server's standing limits watch. Always there in
    /// what comes by `POST /injections`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady_state: Option<SteadyState>,
    /// What is expected to happen.
    pub hypothesis: String,
    /// Whom to ask about it.
    pub owner: String,
    /// Whether it waits when it cannot begin at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queue: bool,
    /// After how long without a renewal it ends early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<f64>,
}

/// What may break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The label `service` of the proxies that are meant, or else their name.
    pub service: String,
    /// Which of them.
    #[serde(default, skip_serializing_if = "Selector::is_empty")]
    pub selector: Selector,
    /// How many of those at most.
    #[serde(alias = "max_pods")]
    pub max_targets: u32,
}

/// What has to stay true while the fault is on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SteadyState {
    /// A service level indicator of the server's configuration; one that it does not know is the
    /// share of good requests through the targets, as the proxy sees them.
    pub slo: String,
    /// It has to be at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// It has to be at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// For how many seconds it may be broken before the fault is taken back.
    pub abort_after: f64,
    /// For how many seconds there may be no data, at least 2; unless given as long as `abort_after`, and at
    /// least 10: the first values take a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_without_data_after: Option<f64>,
}

impl SteadyState {
    /// Whether a value is fine.
    #[must_use]
    pub fn is_met(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }

    /// How long it may be broken.
    #[must_use]
    pub fn grace(&self) -> Duration {
        seconds(self.abort_after)
    }

    /// How long there may be no data.
    #[must_use]
    pub fn grace_without_data(&self) -> Duration {
        seconds(self.abort_without_data_after.unwrap_or(self.abort_after.max(LEAST_WITHOUT_DATA)))
    }
}

/// The six parts, and why each has to be there.
const PARTS: [(&str, &str); 6] = [
    ("target", "it says what may break, and how much of it; without it nothing bounds the damage"),
    ("fault", "it says what is broken, and how"),
    ("duration_seconds", "every fault ends by itself, also when nobody is left who would end it"),
    ("steady_state", "it says what must not suffer; without it nothing would stop a fault that does harm"),
    ("hypothesis", "it says what you expect; without it there is nothing to learn from what happens"),
    ("owner", "it says whom the on-call has to ask"),
];

/// The fields of parts that have to be there as well.
const FIELDS: [(&str, &str); 4] = [
    ("target.service", "it says which proxies are meant, by their label `service` or else their name"),
    ("target.max_targets", "it bounds how many proxies may be hit at once"),
    ("steady_state.slo", "it names the indicator of what must not suffer, such as `success`"),
    (
        "steady_state.abort_after",
        "it says for how many seconds that may be broken before the fault is taken back",
    ),
];

/// What says that a field is not there, with why it matters.
fn missing(field: &str) -> Invalid {
    let why = PARTS.iter().chain(&FIELDS).find(|(known, _)| *known == field);
    Invalid::new(field, why.map_or_else(|| "is missing".to_owned(), |(_, why)| format!("is missing: {why}")))
}

/// Whether a part is there, and one of its fields is not.
fn lacks(map: &Map<String, Value>, field: &str) -> bool {
    let Some((part, name)) = field.split_once('.') else { return false };
    let is_null = |part: &Map<String, Value>, name: &str| part.get(name).is_none_or(Value::is_null);
    let other = if name == "max_targets" { "max_pods" } else { name };
    map.get(part).and_then(Value::as_object).is_some_and(|part| is_null(part, name) && is_null(part, other))
}

/// What may be there.
const OPTIONS: [&str; 2] = ["queue", "lease_seconds"];

impl Request {
    /// Reads the body of `POST /injections`.
    ///
    /// # Errors
    /// The field that is missing, with why it matters, or that is unknown, of another type or out of range.
    pub fn read(body: Value) -> Result<Self, Invalid> {
        let Value::Object(map) = body else {
            return Err(Invalid::new("body", "must be an object"));
        };
        let known: Vec<_> = PARTS.iter().map(|(part, _)| *part).chain(OPTIONS).collect();
        if let Some(unknown) = map.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(Invalid::new(unknown, format!("unknown field{}", suggestion(unknown, &known))));
        }
        let missing = PARTS.iter().filter(|(part, _)| map.get(*part).is_none_or(Value::is_null));
        // Told together with the others: one round is enough to have all.
        let mut missing = missing.chain(FIELDS.iter().filter(|(field, _)| lacks(&map, field)));
        if let Some((first, why)) = missing.next() {
            let more: String = missing.map(|(part, why)| format!("; {part} is missing: {why}")).collect();
            return Err(Invalid::new(*first, format!("is missing: {why}{more}")));
        }
        let request = Self::from_map(map)?;
        request.check()?;
        Ok(request)
    }

    fn from_map(mut map: Map<String, Value>) -> Result<Self, Invalid> {
        Ok(Self {
            target: Target::read(map.remove("target"))?,
            fault: Fault::read(map.remove("fault")).map_err(|error| error.within("fault"))?,
            duration_seconds: number(map.remove("duration_seconds"), "duration_seconds")?,
            steady_state: SteadyState::read(map.remove("steady_state"))?,
            hypothesis: text(map.remove("hypothesis"), "hypothesis")?,
            owner: text(map.remove("owner"), "owner")?,
            queue: flag(map.get("queue"), "queue")?,
            lease_seconds: map
                .remove("lease_seconds")
                .filter(|it| !it.is_null())
                .map(|it| number(Some(it), "lease_seconds"))
                .transpose()?,
        })
    }

    /// Checks what does not depend on the server.
    ///
    /// # Errors
    /// The field that is out of range.
    pub fn check(&self) -> Result<(), Invalid> {
        positive("duration_seconds", self.duration_seconds)?;
        if let Some(lease) = self.lease_seconds {
            positive("lease_seconds", lease)?;
        }
        if self.target.max_targets == 0 {
            return Err(Invalid::new("target.max_targets", "must be at least 1"));
        }
        for (field, text) in [
            ("hypothesis", &self.hypothesis),
            ("owner", &self.owner),
            ("target.service", &self.target.service),
        ] {
            if text.trim().is_empty() {
                return Err(Invalid::new(field, "must not be empty"));
            }
            if text.len() > LONGEST_TEXT {
                return Err(Invalid::new(field, format!("must have at most {LONGEST_TEXT} bytes")));
            }
            Invalid::unless_printable(field, text)?;
        }
        self.fault.spec().map_err(|error| error.within("fault"))?;
        self.steady_state.as_ref().map_or(Ok(()), SteadyState::check)
    }

    /// For how long it is on.
    #[must_use]
    pub fn duration(&self) -> Duration {
        seconds(self.duration_seconds)
    }

    /// After how long without a renewal it ends.
    #[must_use]
    pub fn lease(&self) -> Option<Duration> {
        self.lease_seconds.map(seconds)
    }
}

/// It is kept in the journal for ever.
const LONGEST_TEXT: usize = 2000;

impl Target {
    /// Reads what a request says of its target.
    ///
    /// # Errors
    /// The field that is missing, unknown, of another type or out of range.
    pub fn read(value: Option<Value>) -> Result<Self, Invalid> {
        let mut map = object(value, "target")?;
        // What Kubernetes' people call it.
        if let Some(pods) = map.remove("max_pods") {
            if map.contains_key("max_targets") {
                let message = "is another word for `max_targets`: give one of them";
                return Err(Invalid::new("target.max_pods", message));
            }
            map.insert("max_targets".to_owned(), pods);
        }
        known(&map, "target", &["service", "selector", "max_targets"])?;
        let selector = match map.remove("selector") {
            None | Some(Value::Null) => Selector::default(),
            Some(Value::String(text)) => Selector::given(&text).map_err(|error| error.within("target"))?,
            Some(_) => return Err(Invalid::new("target.selector", "must be text, such as `shard=south-1`")),
        };
        let service = text(map.remove("service"), "target.service")?;
        let cap = map.remove("max_targets").ok_or_else(|| missing("target.max_targets"))?;
        let cap = cap.as_u64().and_then(|cap| u32::try_from(cap).ok());
        let max_targets =
            cap.ok_or_else(|| Invalid::new("target.max_targets", "must be a whole number of at least 1"))?;
        Ok(Self { service, selector, max_targets })
    }
}

impl SteadyState {
    fn read(value: Option<Value>) -> Result<Option<Self>, Invalid> {
        const KNOWN: [&str; 5] = ["slo", "min", "max", "abort_after", "abort_without_data_after"];
        let mut map = object(value, "steady_state")?;
        known(&map, "steady_state", &KNOWN)?;
        let mut optional = |name: &str| {
            let value = map.remove(name).filter(|value| !value.is_null());
            value.map(|value| number(Some(value), &format!("steady_state.{name}"))).transpose()
        };
        let (min, max) = (optional("min")?, optional("max")?);
        let abort_without_data_after = optional("abort_without_data_after")?;
        let abort_after = number(map.remove("abort_after"), "steady_state.abort_after")?;
        let slo = text(map.remove("slo"), "steady_state.slo")?;
        Ok(Some(Self { slo, min, max, abort_after, abort_without_data_after }))
    }

    fn check(&self) -> Result<(), Invalid> {
        let invalid =
            |field: &str, message: &str| Err(Invalid::new(format!("steady_state.{field}"), message));
        match (self.min, self.max) {
            (None, None) => return invalid("min", "is missing: give `min`, `max` or both"),
            (Some(min), Some(max)) if min > max => return invalid("min", "must not be above `max`"),
            _ => {}
        }
        if self.slo.trim().is_empty() {
            return invalid("slo", "must not be empty");
        }
        Invalid::unless_printable("steady_state.slo", &self.slo)?;
        if !(0.0..=LONGEST_SECONDS).contains(&self.abort_after) {
            return invalid("abort_after", "must be seconds, 0 or more, and at most 30 days");
        }
        let silence = SHORTEST_SILENCE..=LONGEST_SECONDS;
        if self.abort_without_data_after.is_some_and(|value| !silence.contains(&value)) {
            let message = "must be seconds, 2 or more, and at most 30 days: values are read every second, so \
                           the first one may take that long";
            return invalid("abort_without_data_after", message);
        }
        Ok(())
    }
}

/// What is longer is no experiment any more; and a time that far ahead fits every clock.
const LONGEST_SECONDS: f64 = 30.0 * 86_400.0;

/// The first value is read a second after the beginning, and may take another one.
const SHORTEST_SILENCE: f64 = 2.0;

/// Indicators are read every second, and the first window of requests takes five.
const LEAST_WITHOUT_DATA: f64 = 10.0;

/// What a fault that is over at once would show is nothing.
const SHORTEST_SECONDS: f64 = 0.001;

fn positive(field: &str, value: f64) -> Result<(), Invalid> {
    if (SHORTEST_SECONDS..=LONGEST_SECONDS).contains(&value) {
        return Ok(());
    }
    Err(Invalid::new(field, "must be seconds, at least 0.001 and at most 30 days"))
}

/// Of what was checked to be in range; what no clock can show is for ever.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

fn object(value: Option<Value>, field: &str) -> Result<Map<String, Value>, Invalid> {
    match value {
        Some(Value::Object(map)) => Ok(map),
        _ => Err(Invalid::new(field, "must be an object")),
    }
}

fn text(value: Option<Value>, field: &str) -> Result<String, Invalid> {
    match value {
        Some(Value::String(text)) => Ok(text),
        None | Some(Value::Null) => Err(missing(field)),
        Some(_) => Err(Invalid::new(field, "must be text")),
    }
}

fn number(value: Option<Value>, field: &str) -> Result<f64, Invalid> {
    match value {
        None | Some(Value::Null) => Err(missing(field)),
        Some(value) => value.as_f64().ok_or_else(|| Invalid::new(field, "must be a number")),
    }
}

fn flag(value: Option<&Value>, field: &str) -> Result<bool, Invalid> {
    match value {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Invalid::new(field, "must be true or false")),
    }
}

fn known(map: &Map<String, Value>, parent: &str, fields: &[&str]) -> Result<(), Invalid> {
    match map.keys().find(|key| !fields.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            Err(Invalid::new(format!("{parent}.{key}"), format!("unknown field{}", suggestion(key, fields))))
        }
    }
}

#[cfg(test)]
mod tests;
