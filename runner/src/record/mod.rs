//! What a run leaves behind: one document that every report, comparison and history is made of.
//!
//! Everything in it is measured or asked for; nothing is for one report alone. Written as JSON, with
//! a published schema. `numbers` computes what comes from the load's series, `read` reads it back.

pub mod numbers;
mod read;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::{Judgement, Phase, Phases, Verdict};
use crate::load::{Class, Summary};

pub use read::ReadError;

/// The form of this document; a reader refuses a higher one.
pub const FORMAT: u32 = 1;

/// A run, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The form of this document: [`FORMAT`].
    pub format: u32,
    /// Names this run: the time it began, and the number of the process that carried it out.
    pub id: String,
    /// The experiment's title.
    pub title: String,
    /// What was believed before the run.
    pub hypothesis: String,
    /// The variant of the experiment, if it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// The command that runs it again.
    pub command: String,
    /// The version of Sabot that ran it, and that of the server whose faults it used.
    pub versions: Versions,
    /// When what was on.
    pub phases: Phases,
    /// What was broken.
    pub faults: Vec<FaultRecord>,
    /// The load in numbers.
    pub load: Summary,
    /// Each phase in numbers: of all requests and of each endpoint.
    pub parts: Vec<PhasePart>,
    /// How the requests that reached each proxy compare to those that the load sent: retries.
    pub far_side: Vec<FarSide>,
    /// What the declared SLIs said, second by second.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slis: BTreeMap<String, Vec<Option<f64>>>,
    /// All requests, second by second.
    pub timeline: Timeline,
    /// Each endpoint, second by second.
    pub endpoints: Vec<EndpointTimeline>,
    /// How many requests took how long, second by second.
    pub heat_map: HeatMap,
    /// What it came to.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// The verdict that the experiment expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Verdict>,
}

/// Versions of the programs that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Versions {
    /// Of the runner.
    pub runner: String,
    /// Of the server; none if the experiment has no fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// A fault and the evidence for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultRecord {
    /// The proxy that it was on.
    pub proxy: String,
    /// The toxic's name there.
    pub name: String,
    /// Its kind, such as `latency`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `upstream` or `downstream`.
    pub stream: String,
    /// The share of connections or requests that it acted on.
    pub toxicity: f64,
    /// Its attributes as the server had them.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// When the server had it, in seconds from the start of the load; none: it never had.
    pub started_s: Option<f64>,
    /// When the server had it no more.
    pub stopped_s: Option<f64>,
    /// On how many connections or requests it acted, by the server's own count.
    pub applied: u64,
}

/// A phase in numbers. Times in milliseconds, of requests answered as expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhasePart {
    /// Which phase.
    pub phase: Phase,
    /// Which endpoint; none: all requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Requests that the schedule called for.
    pub offered: u64,
    /// The same a second.
    pub offered_per_s: f64,
    /// Requests answered as expected, a second.
    pub effective_per_s: f64,
    /// The share that was not answered as expected, 0 to 1.
    pub error_rate: f64,
    /// How many ended in each fate; those of which there were none are left out.
    pub fates: BTreeMap<String, u64>,
    /// Latency from the intended start; none if no request was answered as expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Percentiles>,
}

/// The percentiles that a report shows, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// What half do not exceed.
    pub p50: f64,
    /// What 90 % do not exceed.
    pub p90: f64,
    /// What 99 % do not exceed.
    pub p99: f64,
    /// What 99.9 % do not exceed.
    pub p999: f64,
}

/// Requests as a proxy saw them, in each phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FarSide {
    /// The proxy.
    pub proxy: String,
    /// Requests a second in the baseline.
    pub baseline_per_s: f64,
    /// Requests a second while the fault was on.
    pub fault_per_s: f64,
    /// Requests a second in the recovery.
    pub recovery_per_s: f64,
}

impl FarSide {
    /// How many times as many requests came under the fault as in the baseline, if any came there: with
    /// the same load, what is above 1 are retries.
    #[must_use]
    pub fn amplification(&self) -> Option<f64> {
        (self.baseline_per_s > 0.0).then(|| self.fault_per_s / self.baseline_per_s)
    }
}

/// Numbers of each second, from the start of the load: lists of one length. Latencies are those of
/// requests answered as expected, in milliseconds; none in a second without any.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// Requests that the schedule called for.
    pub offered: Vec<u32>,
    /// Of them, those answered as expected.
    pub effective: Vec<u32>,
    /// Of them, those never sent.
    pub dropped: Vec<u32>,
    /// The median.
    pub p50_ms: Vec<Option<f64>>,
    /// What 90 % do not exceed.
    pub p90_ms: Vec<Option<f64>>,
    /// What 99 % do not exceed.
    pub p99_ms: Vec<Option<f64>>,
}

/// The seconds of one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointTimeline {
    /// Its name.
    pub name: String,
    /// What it does.
    pub class: Class,
    /// Its seconds.
    #[serde(flatten)]
    pub timeline: Timeline,
}

/// Latencies of each second, in classes of equal width on a logarithmic scale; requests that failed
/// are counted where they were given up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeatMap {
    /// The upper bounds of the classes, in milliseconds; the last class has none.
    pub bounds_ms: Vec<f64>,
    /// For each second, how many requests fell into each class, from the fastest; trailing zeros are
    /// left out.
    pub seconds: Vec<Vec<u32>>,
}

impl Record {
    /// The numbers of a phase: of all requests, or of an endpoint.
    #[must_use]
    pub fn part(&self, phase: Phase, endpoint: Option<&str>) -> Option<&PhasePart> {
        self.parts.iter().find(|part| part.phase == phase && part.endpoint.as_deref() == endpoint)
    }

    /// Whether the verdict is the expected one; without an expectation, whether it is `held`.
    #[must_use]
    pub fn as_expected(&self) -> bool {
        self.judgement.verdict == self.expect.unwrap_or(Verdict::Held)
    }
}
