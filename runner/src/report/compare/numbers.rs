//! The numbers of each phase, in both runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text;
use crate::judge::Phase;
use crate::record::{PhasePart, Record};

/// A number in both runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// Which phase.
    pub phase: Phase,
    /// Which endpoint; none: all requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What it is.
    pub measure: Measure,
    /// In the first run; none if it was not measured there.
    pub a: Option<f64>,
    /// In the second.
    pub b: Option<f64>,
    /// How much the second differs, as a share of the first; none if the first is 0 or missing.
    pub difference: Option<f64>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// What half of the latencies do not exceed, in milliseconds.
    P50Ms,
    /// What 90 % do not exceed, in milliseconds.
    P90Ms,
    /// What 99 % do not exceed, in milliseconds.
    P99Ms,
    /// What 99.9 % do not exceed, in milliseconds.
    P999Ms,
    /// The share that was not answered as expected, 0 to 1.
    ErrorRate,
    /// Requests answered as expected, a second.
    EffectivePerS,
}

impl Measure {
    pub(super) const ALL: [Self; 6] =
        [Self::P50Ms, Self::P90Ms, Self::P99Ms, Self::P999Ms, Self::ErrorRate, Self::EffectivePerS];

    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P50Ms => "p50",
            Self::P90Ms => "p90",
            Self::P99Ms => "p99",
            Self::P999Ms => "p99.9",
            Self::ErrorRate => "errors",
            Self::EffectivePerS => "effective",
        }
    }

    pub(super) fn of(self, part: &PhasePart) -> Option<f64> {
        let latency = part.latency_ms;
        match self {
            Self::P50Ms => latency.map(|latency| latency.p50),
            Self::P90Ms => latency.map(|latency| latency.p90),
            Self::P99Ms => latency.map(|latency| latency.p99),
            Self::P999Ms => latency.map(|latency| latency.p999),
            Self::ErrorRate => Some(part.error_rate),
            Self::EffectivePerS => Some(part.effective_per_s),
        }
    }

    /// A value of it in words.
    pub(super) fn words(self, value: Option<f64>) -> String {
        let Some(value) = value else { return text::NOTHING.to_owned() };
        match self {
            Self::P50Ms | Self::P90Ms | Self::P99Ms | Self::P999Ms => text::millis(value),
            Self::ErrorRate => text::share(value),
            Self::EffectivePerS => text::rate(value),
        }
    }
}

impl Pair {
    pub(super) fn difference(&self) -> String {
        match (self.difference, self.a, self.b) {
            (Some(difference), ..) => text::signed(difference),
            (None, Some(a), Some(b)) if a == b => "same".to_owned(),
            // From nothing to something is no percentage.
            (None, Some(_), Some(_)) => "new".to_owned(),
            _ => text::NOTHING.to_owned(),
        }
    }

    /// Whether the second run is better here; none where the difference is noise: less than 10 %, or a
    /// tenth of a percent of errors.
    #[must_use]
    pub fn is_better(&self) -> Option<bool> {
        let (a, b) = (self.a?, self.b?);
        let noise = if self.measure == Measure::ErrorRate { 0.001 } else { a.abs() * 0.1 };
        let less_is_better = self.measure != Measure::EffectivePerS;
        ((b - a).abs() > noise).then_some((b < a) == less_is_better)
    }
}

/// All numbers: of all requests, then of each endpoint that either run has.
pub(super) fn numbers(a: &Record, b: &Record) -> Vec<Pair> {
    let mut endpoints: Vec<Option<&str>> = vec![None];
    for endpoint in a.endpoints.iter().chain(&b.endpoints) {
        if !endpoints.contains(&Some(&endpoint.name)) {
            endpoints.push(Some(&endpoint.name));
        }
    }
    let mut pairs = Vec::new();
    for endpoint in endpoints {
        for phase in text::PHASES {
            let (of_a, of_b) = (a.part(phase, endpoint), b.part(phase, endpoint));
            if of_a.is_none() && of_b.is_none() {
                continue;
            }
            for measure in Measure::ALL {
                let of = |part: Option<&PhasePart>| part.and_then(|part| measure.of(part));
                let (a, b) = (of(of_a), of(of_b));
                let endpoint = endpoint.map(str::to_owned);
                pairs.push(Pair { phase, endpoint, measure, a, b, difference: text::difference(a, b) });
            }
        }
    }
    pairs
}
