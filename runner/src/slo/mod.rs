//! Service level objectives as people write them: `POST /orders p99 < 250ms`.
//!
//! ```text
//! [SCOPE] INDICATOR COMPARISON VALUE [over TIME] [for TIME]
//! ```
//!
//! - SCOPE: `reads`, `writes`, an endpoint's name, `all` or nothing for all requests; with
//!   `tenant=NAME` for one tenant, with `each tenant` for every tenant by itself;
//! - INDICATOR: `error_rate`, `availability`, `throughput`, a percentile such as `p99` or `p99.9`
//!   (also `p999`), `mean`, or the name of an SLI that the experiment declares;
//! - COMPARISON: `<`, `<=`, `>`, `>=`;
//! - VALUE with its unit: `1%`, `250ms`, `100/s`; for a declared SLI a plain number;
//! - `over`: the width of the sliding windows that it is judged by;
//! - `for`: how long it must be broken before it counts.
//!
//! Percentiles and the mean are those of requests answered as expected: what got no good answer has
//! no latency worth the name, it counts in `error_rate`.
//!
//! - `parse` reads the expression, `value` its numbers and units;
//! - `measure` computes what a tally or samples say.

mod measure;
mod parse;
mod value;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use measure::{Names, Subject};
pub use parse::ParseError;
pub use value::{Unit, format_value};

/// One objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// As it was written.
    pub text: String,
    /// Whose requests.
    pub scope: Scope,
    /// What of them.
    pub indicator: Indicator,
    /// How the indicator must compare to `bound`.
    pub comparison: Comparison,
    /// A share, seconds, requests a second, or a number, as [`Indicator::unit`] says.
    pub bound: f64,
    /// The width of the windows it is judged by; none: a phase is judged as a whole.
    pub over: Option<Duration>,
    /// How long it must be broken before it counts.
    pub grace: Option<Duration>,
}

/// Whose requests an objective is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Which endpoints.
    pub endpoints: Endpoints,
    /// Which tenants.
    pub tenants: Tenants,
}

/// Which endpoints an objective is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Endpoints {
    /// All of them.
    #[default]
    All,
    /// Those that only read.
    Reads,
    /// Those that write.
    Writes,
    /// The one of that name.
    Named(String),
}

/// Which tenants an objective is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tenants {
    /// All of them together.
    #[default]
    Together,
    /// Every one by itself.
    Each,
    /// The one of that name.
    Named(String),
}

/// What an objective measures.
#[derive(Clone, Debug, PartialEq)]
pub enum Indicator {
    /// The share of requests that were not answered as expected.
    ErrorRate,
    /// The share of requests that were.
    Availability,
    /// Requests answered as expected, a second.
    Throughput,
    /// A quantile of latency, 0 to 1.
    Quantile(f64),
    /// The mean latency.
    Mean,
    /// What an SLI of that name says.
    Sli(String),
}

/// How a value must compare to the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// Below it.
    #[serde(rename = "<")]
    Less,
    /// At most it.
    #[serde(rename = "<=")]
    AtMost,
    /// Above it.
    #[serde(rename = ">")]
    More,
    /// At least it.
    #[serde(rename = ">=")]
    AtLeast,
}

impl Comparison {
    /// Whether `value` is as it must be.
    #[must_use]
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::AtMost => value <= bound,
            Self::More => value > bound,
            Self::AtLeast => value >= bound,
        }
    }

    /// Whether smaller values are better ones.
    #[must_use]
    pub fn is_upper_bound(self) -> bool {
        matches!(self, Self::Less | Self::AtMost)
    }

    /// As it is written.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }
}

impl Slo {
    /// Whether `value` of its indicator is within it.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        self.comparison.holds(value, self.bound)
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Slo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Slo {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Slo {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Slo".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An objective: [SCOPE] INDICATOR COMPARISON VALUE [over TIME] [for TIME]",
            "examples": ["POST /orders p99 < 250ms", "reads error_rate < 0.1%", "each tenant availability >= 99%"],
        })
    }
}
