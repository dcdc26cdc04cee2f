//! What the server is told, and what a request has to keep to by that.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sabot_toxics::Invalid;

use super::view::{Figure, OwnView};
use crate::injection::Injection;
use crate::request::{Request, Selector};
use crate::rules::Rules;

/// Reads a service level indicator.
pub trait Indicator: Send + Sync {
    /// One value; ready within about `limit`.
    fn sample(&self, limit: Duration) -> Pin<Box<dyn Future<Output = Result<f64, String>> + Send + '_>>;
    /// Where it comes from, in words.
    fn source(&self) -> String;
}

/// What the server is told.
#[derive(Clone, Default)]
pub struct Settings {
    /// What is allowed.
    pub rules: Rules,
    /// Indicators, by the names that `steady_state.slo` may have.
    pub slos: BTreeMap<String, Slo>,
    /// What ends every injection, whatever it asks for.
    pub limits: Limits,
    /// How long an injection by `/chaos/inject` is.
    pub default_duration: Option<Duration>,
}

/// What the targets' own view gives by name, whatever is configured.
const OWN: [&str; 4] = ["success", "p50_ms", "p90_ms", "p99_ms"];

impl Settings {
    /// Refuses an indicator that is not configured where others are: a slip of the pen must not be guarded
    /// by something else. And bounds that are none of its values; those that it always meets say so plainly.
    pub(super) fn knows(&self, request: &Request) -> Result<(), Invalid> {
        let Some(steady) = &request.steady_state else { return Ok(()) };
        let slo = steady.slo.as_str();
        let figure = match self.slos.get(slo) {
            Some(Slo::Asked(_)) => return Ok(()),
            Some(Slo::Seen(own)) => own.value,
            None if self.slos.is_empty() || OWN.contains(&slo) => Figure::named(slo),
            None => {
                let known: Vec<_> = self.slos.keys().map(String::as_str).chain(OWN).collect();
                let hint = sabot_toxics::suggestion(slo, &known);
                return Err(Invalid::new("steady_state.slo", format!("`{slo}` is not configured{hint}")));
            }
        };
        for (field, bound) in [("min", steady.min), ("max", steady.max)] {
            let Some(bound) = bound else { continue };
            let message = match figure {
                Figure::Success if !(0.0..=1.0).contains(&bound) => {
                    format!("`{slo}` is a share: give a number between 0 and 1")
                }
                Figure::Success => continue,
                _ if bound < 0.0 => format!("`{slo}` is a time in milliseconds: give 0 or more"),
                _ => continue,
            };
            return Err(Invalid::new(format!("steady_state.{field}"), message));
        }
        Ok(())
    }

    /// Where the configured indicator of a request comes from, if it has one.
    pub(super) fn indicator(&self, request: &Request) -> Option<String> {
        Some(match self.slos.get(&request.steady_state.as_ref()?.slo)? {
            Slo::Asked(indicator) => indicator.source(),
            Slo::Seen(own) if own.watch.is_empty() => "what all proxies see".to_owned(),
            Slo::Seen(own) => format!("what the proxies with {} see", own.watch),
        })
    }

    /// Refuses to have something guarded by less than it was asked for with.
    pub(super) fn still_guards(&self, injection: &Injection) -> Result<(), Invalid> {
        let Some((indicator, steady)) =
            injection.indicator.as_ref().zip(injection.request.steady_state.as_ref())
        else {
            return Ok(());
        };
        if self.slos.contains_key(&steady.slo) {
            return Ok(());
        }
        let message =
            format!("`{}` ({indicator}) is configured no more: configure it, or ask again", steady.slo);
        Err(Invalid::new("steady_state.slo", message))
    }

    /// How long an injection is that does not say so.
    #[must_use]
    pub fn default_duration(&self) -> Duration {
        self.default_duration.unwrap_or(Duration::from_secs(60))
    }
}

/// Where an indicator comes from.
#[derive(Clone)]
pub enum Slo {
    /// Somebody is asked.
    Asked(Arc<dyn Indicator>),
    /// Proxies see it.
    Seen(OwnView),
}

/// What ends every injection, whatever it asks for. Seen of the requests through all HTTP proxies that
/// `watch` means, the targets left out: what is broken on purpose is broken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// The largest share of requests that may fail.
    pub error_rate: Option<f64>,
    /// How many times the 99th percentile of before may be reached.
    pub p99_factor: Option<f64>,
    /// For how long they may be passed.
    pub grace: Duration,
    /// Which proxies.
    pub watch: Selector,
}
