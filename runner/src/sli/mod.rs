//! SLIs that the load does not know: each is asked for every so often, and answers a number.
//!
//! A source is one file and one line in the list below.

use std::future::Future;
use std::time::Duration;

use sabot_toxics::units::Millis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    fn check(&self) -> Result<(), sabot_toxics::Invalid> {
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
            pub fn check(&self) -> Result<(), sabot_toxics::Invalid> {
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
