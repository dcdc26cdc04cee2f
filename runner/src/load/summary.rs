//! The numbers of a whole load, for people, files and comparison.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Class;

/// A load in numbers. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The seed it ran with.
    pub seed: u64,
    /// How long requests were offered, in seconds: the plan's duration, or less if it was stopped.
    pub duration_s: f64,
    /// Whether it was ended before its time.
    pub stopped: bool,
    /// Threads that sent.
    pub workers: u16,
    /// All endpoints and tenants together.
    pub total: Part,
    /// Each endpoint, in the plan's order.
    pub endpoints: Vec<EndpointPart>,
    /// Each tenant that had a request, the busiest first.
    pub tenants: Vec<NamedPart>,
    /// From the intended start to the first byte sent: how late the load itself was, connections that
    /// it had to wait for included; none if nothing was sent.
    pub lateness: Option<Quantiles>,
    /// How many answers there were of each code, such as `200` or `grpc-14`.
    pub codes: BTreeMap<String, u64>,
    /// Why requests got no connection or were refused, in the words of the system or of the other side, each
    /// with how many; the commonest few.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub causes: BTreeMap<String, u64>,
    /// Connections opened, the failed ones not counted.
    pub connections_opened: u64,
    /// Requests sent again because their pooled connection turned out to be closed.
    pub resent: u64,
    /// The most requests that were seen under way at once.
    pub in_flight_max: u32,
}

impl Summary {
    /// The reasons that were given for failed requests, the commonest first, as part of a sentence.
    #[must_use]
    pub fn told_causes(&self) -> Option<String> {
        let mut causes: Vec<(&String, &u64)> = self.causes.iter().collect();
        causes.sort_by_key(|(cause, count)| (std::cmp::Reverse(**count), *cause));
        let told: Vec<_> = causes.into_iter().map(|(cause, count)| format!("{count} × {cause}")).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// The requests of one endpoint, one tenant, or all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Requests that the schedule called for.
    pub offered: u64,
    /// The same a second.
    pub offered_per_s: f64,
    /// Requests answered as expected, a second.
    pub effective_per_s: f64,
    /// The share that was not answered as expected, 0 to 1: of the offered ones but for those that the end
    /// of the load cut off.
    pub error_rate: f64,
    /// How many ended in each fate; those of which there were none are left out.
    pub fates: BTreeMap<String, u64>,
    /// From the intended start to the whole answer, of those answered as expected; none if there are none.
    pub latency_ms: Option<Quantiles>,
    /// The same of all requests, however they ended; those that were cut off left out.
    pub latency_all_ms: Option<Quantiles>,
}

/// An endpoint in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointPart {
    /// Its name.
    pub name: String,
    /// What it does.
    pub class: Class,
    /// Its requests.
    #[serde(flatten)]
    pub part: Part,
    /// Its answers by code.
    pub codes: BTreeMap<String, u64>,
}

/// A tenant in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamedPart {
    /// Its name.
    pub name: String,
    /// Its requests.
    #[serde(flatten)]
    pub part: Part,
}

/// A distribution of times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// The mean.
    pub mean: f64,
    /// What half of them do not exceed.
    pub p50: f64,
    /// What 90 % do not exceed.
    pub p90: f64,
    /// What 99 % do not exceed.
    pub p99: f64,
    /// What 99.9 % do not exceed.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}
