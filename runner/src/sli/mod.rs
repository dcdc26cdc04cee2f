//! SLIs that the load does not know: each is asked for every so often, and answers a number.
//!
//! A source is one file and one line in the list below.

use std::future::Future;
use std::time::Duration;

use sabot_toxics::units::Millis;
use sabot_toxics::{Invalid, read, suggestion};
use schemars::JsonSchema;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where numbers come from.
pub trait Source {
    /// Asks once.
    ///
    /// # Errors
    /// There is no number, and why.
    fn sample(&self, limit: Duration) -> impl Future<Output = Result<f64, String>> + Send;

    /// Whom it asks, in words.
    fn told(&self) -> String;

    /// Refuses what cannot be asked.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

macro_rules! sources {
    ($($(#[doc = $doc:literal])+ $module:ident::$source:ident,)*) => {
        $(pub mod $module;)*

        /// Where an SLI comes from.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum SourceSpec {
            $($(#[doc = $doc])+ $source($module::$source),)*
        }

        impl SourceSpec {
            /// As they are written.
            pub const NAMES: &[&str] = &[$(stringify!($module)),*];

            /// Asks once; ready within about `limit`.
            ///
            /// # Errors
            /// There is no number, and why.
            pub async fn sample(&self, limit: Duration) -> Result<f64, String> {
                match self {
                    $(Self::$source(source) => source.sample(limit).await,)*
                }
            }

            /// Whom it asks, in words.
            #[must_use]
            pub fn told(&self) -> String {
                match self {
                    $(Self::$source(source) => source.told(),)*
                }
            }

            /// Refuses what cannot be asked.
            ///
            /// # Errors
            /// The field, and what is wrong with it.
            pub fn check(&self) -> Result<(), Invalid> {
                match self {
                    $(Self::$source(source) => source.check().map_err(|error| error.within(stringify!($module))),)*
                }
            }
        }
    };
}

sources! {
    /// What a program prints, or 1 and 0 for how it ended.
    command::Command,
    /// How long a request takes in seconds, or 1 and 0 for whether it was answered as expected.
    http::Http,
    /// The answer to a query in PromQL.
    prometheus::Prometheus,
}

/// An SLI: where it comes from, and how often it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SliSpec {
    /// Where it comes from.
    #[serde(flatten)]
    pub source: SourceSpec,
    /// How often it is asked for; a second at least.
    #[serde(default = "every")]
    pub every: Millis,
}

fn every() -> Millis {
    Millis::new(1_000)
}

impl<'de> Deserialize<'de> for SliSpec {
    /// By hand: what is flattened is otherwise read without a look at the fields that are left over.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let every = fields
            .remove("every")
            .map(|value| read(value).map_err(|error: Invalid| de::Error::custom(error.within("every"))));
        let unknown = fields.keys().find(|name| !SourceSpec::NAMES.contains(&name.as_str()));
        if let Some(name) = unknown.filter(|_| fields.len() > 1) {
            let known = [SourceSpec::NAMES, &["every"]].concat();
            let error = Invalid::new(name, format!("unknown field{}", suggestion(name, &known)));
            return Err(de::Error::custom(error));
        }
        let source = read(Value::Object(fields)).map_err(de::Error::custom)?;
        Ok(Self { source, every: every.transpose()?.unwrap_or_else(self::every) })
    }
}

impl SliSpec {
    /// Asks once; an answer that takes longer than the time until the next question is none.
    ///
    /// # Errors
    /// There is no number, and why.
    pub async fn sample(&self) -> Result<f64, String> {
        let limit = self.every.get().clamp(Duration::from_secs(1), Duration::from_secs(10));
        let sample = self.source.sample(limit);
        match tokio::time::timeout(limit, sample).await {
            Ok(sample) => sample.and_then(|value| {
                if value.is_finite() { Ok(value) } else { Err(format!("{value} is no number to judge by")) }
            }),
            Err(_) => Err(format!("no answer within {} s", limit.as_secs_f64())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_asked_for_by_one_source_is_refused() {
        let probe = json!({"url": "http://localhost/"});
        let fine: SliSpec = read(json!({"http": probe, "every": "5s"})).unwrap();
        assert_eq!(fine.every, Millis::new(5_000));
        for (value, told) in [
            (json!({"http": probe, "evry": "5s"}), "evry: unknown field, did you mean `every`?"),
            (json!({"htp": probe}), "did you mean `http`?"),
            (json!({"http": probe, "command": {"argv": ["true"]}}), "one"),
            (json!({"every": "5s"}), "one"),
            (json!({"http": probe, "every": "soon"}), "every"),
        ] {
            let error = read::<SliSpec>(value.clone()).unwrap_err().to_string();
            assert!(error.contains(told), "{value}: {error}");
        }
    }
}
