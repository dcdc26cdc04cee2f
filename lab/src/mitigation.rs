//! What protects a service, each switchable while it runs.
//!
//! The list below is all there is to say about a mitigation's name: the control
//! API, the metrics, the command line and the docs derive from it. What one does
//! stands where it acts: [`crate::guard`] around calls, [`crate::admission`]
//! around requests, [`crate::orders`] for the pending payment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Map, Value};

macro_rules! mitigations {
    ($($variant:ident $name:literal $summary:literal,)*) => {
        /// One way to protect a service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mitigation {
            $(#[doc = $summary] $variant,)*
        }

        impl Mitigation {
            /// Every mitigation, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name on the wire and on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does, in one line.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }
        }
    };
}

mitigations! {
    Timeout "timeout" "Gives up on a slow call soon, instead of after 30 s.",
    RetryBudget "retry_budget" "Retries at most a tenth of the calls, after a jittered back-off, instead of three times at once.",
    CircuitBreaker "circuit_breaker" "Stops calling a dependency that mostly fails, and tries again after a while.",
    Bulkhead "bulkhead" "Gives each dependency and each kind of request its own share of the workers and connections.",
    LoadShedding "load_shedding" "Answers 503 at once when the queue for a worker is long, instead of letting everyone wait.",
    Degradation "degradation" "Accepts an order whose payment cannot be made now, and reads around a cache or replica that fails.",
}

/// Which mitigations are on at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mitigations(u32);

impl Mitigations {
    /// The naive service.
    pub const NONE: Self = Self(0);
    /// The protected service.
    pub const ALL: Self = Self((1 << Mitigation::ALL.len()) - 1);

    /// Whether `mitigation` is on.
    pub const fn has(self, mitigation: Mitigation) -> bool {
        self.0 & (1 << mitigation as u32) != 0
    }

    /// The same with `mitigation` on or off.
    #[must_use]
    pub const fn with(self, mitigation: Mitigation, on: bool) -> Self {
        let bit = 1 << mitigation as u32;
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }

    /// As JSON: `{"timeout": true, …}`.
    pub fn to_json(self) -> Value {
        let each = |it: &Mitigation| (it.name().to_owned(), Value::Bool(self.has(*it)));
        Value::Object(Mitigation::ALL.iter().map(each).collect())
    }

    /// The same with what a change in JSON asks for: names with true or false, or
    /// `all` for every one of them. Refused as a whole if a part is wrong.
    ///
    /// # Errors
    /// Names the field and what may stand there.
    pub fn changed(self, change: &Map<String, Value>) -> Result<Self, Unknown> {
        let wanted = |field: &String, value: &Value| {
            value
                .as_bool()
                .ok_or_else(|| Unknown { field: field.clone(), what: "must be true or false".to_owned() })
        };
        // `all` first, whatever the order: `{"timeout": false, "all": true}` means all but one.
        let mut new = match change.get_key_value("all") {
            Some((field, value)) if wanted(field, value)? => Self::ALL,
            Some(_) => Self::NONE,
            None => self,
        };
        for (field, value) in change.iter().filter(|(field, _)| *field != "all") {
            new = new.with(field.parse()?, wanted(field, value)?);
        }
        Ok(new)
    }
}

/// A change that names no mitigation, or says neither on nor off.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Unknown {
    /// The field that is wrong.
    pub field: String,
    /// What is wrong with it, and what may stand there.
    pub what: String,
}

impl std::str::FromStr for Mitigation {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Self, Unknown> {
        let found = Self::ALL.iter().find(|it| it.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|it| it.name()).collect();
            let what = format!("there is no such mitigation; there are {}, and all", names.join(", "));
            Unknown { field: name.to_owned(), what }
        })
    }
}

/// The switches of one service: read by every request, set by the control API.
#[derive(Clone, Debug, Default)]
pub struct Switches(Arc<AtomicU32>);

impl Switches {
    /// Switches that stand as `mitigations` say.
    pub fn new(mitigations: Mitigations) -> Self {
        Self(Arc::new(AtomicU32::new(mitigations.0)))
    }

    /// How they stand now. A request asks once and keeps the answer, so that it
    /// is treated in one way from its beginning to its end.
    pub fn now(&self) -> Mitigations {
        Mitigations(self.0.load(Ordering::Relaxed))
    }

    /// Applies a change in JSON, as a whole or not at all; answers how they stand then.
    ///
    /// # Errors
    /// As [`Mitigations::changed`].
    pub fn change(&self, change: &Map<String, Value>) -> Result<Mitigations, Unknown> {
        let new = self.now().changed(change)?;
        self.0.store(new.0, Ordering::Relaxed);
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(from: Mitigations, change: &Value) -> Result<Mitigations, String> {
        from.changed(change.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_change_touches_what_it_names() {
        let one = changed(Mitigations::NONE, &json!({"timeout": true})).unwrap();
        assert_eq!(one, Mitigations::NONE.with(Mitigation::Timeout, true));
        assert_eq!(
            changed(one, &json!({"bulkhead": true, "timeout": false})).unwrap().to_json()["bulkhead"],
            true
        );
        let but_one = changed(one, &json!({"degradation": false, "all": true})).unwrap();
        assert_eq!(but_one, Mitigations::ALL.with(Mitigation::Degradation, false));
        assert_eq!(changed(but_one, &json!({"all": false})).unwrap(), Mitigations::NONE);
    }

    #[test]
    fn a_wrong_change_is_refused_as_a_whole() {
        let switches = Switches::new(Mitigations::NONE);
        let change = json!({"timeout": true, "breaker": true});
        let error = switches.change(change.as_object().unwrap()).unwrap_err();
        assert_eq!(error.field, "breaker");
        assert!(error.what.contains("circuit_breaker"));
        assert_eq!(switches.now(), Mitigations::NONE);
        assert!(changed(Mitigations::NONE, &json!({"all": "yes"})).unwrap_err().contains("true or false"));
    }

    #[test]
    fn every_mitigation_has_a_bit_of_its_own() {
        for it in Mitigation::ALL {
            let alone = Mitigations::NONE.with(*it, true);
            assert_eq!(Mitigation::ALL.iter().filter(|other| alone.has(**other)).count(), 1);
            assert_eq!(it.name().parse::<Mitigation>().unwrap(), *it);
        }
        assert!(Mitigation::ALL.iter().all(|it| Mitigations::ALL.has(*it)));
    }
}
