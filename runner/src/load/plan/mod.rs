//! A load as people write it: the fields of a plan file and of an experiment's `load`.
//!
//! Reading checks each field's own form; [`super::Load::new`] checks what they mean together.

mod endpoint;
mod rate;
mod read;

use std::collections::BTreeMap;
use std::path::PathBuf;

use sabot_toxics::units::Millis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use endpoint::{Class, Endpoint};
pub use rate::{PerSecond, Rate, Spike, Step};

/// An open-model load: what is sent where, how often, by which client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Where requests go: a base URL such as `http://localhost:8080`; an endpoint may have its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How many requests a second, and how that changes.
    pub rate: Rate,
    /// For how long. Needed unless the rate has an end of its own (a ramp, steps).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Millis>,
    /// How the arrivals lie in time.
    #[serde(default)]
    pub arrivals: ArrivalKind,
    /// The root of all chance in the load: the same seed sends the same requests, byte for byte.
    #[serde(default)]
    pub seed: u64,
    /// How many connections the client may have open to each target.
    #[serde(default = "defaults::connections")]
    #[schemars(range(min = 1, max = 10_000))]
    pub connections: u32,
    /// How long an answer may take, from the moment at which the request has its connection until
    /// the answer is whole.
    #[serde(default = "defaults::timeout")]
    pub timeout: Millis,
    /// How long a new connection may take: name, TCP, TLS and the protocol's greeting.
    #[serde(default = "defaults::connect_timeout")]
    pub connect_timeout: Millis,
    /// How long a request may wait for one of the connections before it counts as dropped.
    #[serde(default = "defaults::queue_timeout")]
    pub queue_timeout: Millis,
    /// How many requests may be under way at once, those that wait for a connection included; what
    /// arrives beyond counts as dropped.
    #[serde(default = "defaults::max_in_flight")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: u32,
    /// Threads that send; unless given, one for each 20,000 requests/s of the highest rate, at most
    /// one for each core. Each has its share of the connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub workers: Option<u16>,
    /// Whom to believe over TLS, and who to be.
    #[serde(default, skip_serializing_if = "Tls::is_default")]
    pub tls: Tls,
    /// Whether HTTP endpoints use HTTP/2.
    #[serde(default)]
    pub http2: Http2,
    /// Headers of every HTTP and gRPC request but those of the setup; templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Values that templates may use by their name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Scalar>,
    /// On whose behalf requests are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Tenants>,
    /// Requests sent before the load, in order, once for each tenant: log in, create what is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<SetupStep>,
    /// What is sent. Unless given, GET of the target's own path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
}

/// How arrivals lie in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArrivalKind {
    /// At even distances.
    Uniform,
    /// As independent users come: gaps of exponential length, drawn from the seed.
    #[default]
    Poisson,
}

/// Whether HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http2 {
    /// Over TLS if the server chooses it, else HTTP/1.1.
    #[default]
    Auto,
    /// Always; without TLS by prior knowledge.
    Always,
    /// HTTP/1.1 only.
    Never,
}

/// TLS as the load's client does it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A PEM file of the CAs to believe instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roots: Option<PathBuf>,
    /// Believe anybody.
    pub insecure: bool,
    /// A PEM file with the client's own certificate chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// A PEM file with its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

impl Tls {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The tenants of a load, and how unevenly they use it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tenants {
    /// That many, named `tenant-1`, `tenant-2` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub count: Option<u32>,
    /// These, instead of a count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The exponent of Zipf's law: at 0 all are alike, at 1 the second sends half of what the first
    /// sends, the third a third.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub skew: f64,
}

/// One request of the setup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupStep {
    /// Another base URL than the plan's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// POST unless given.
    #[serde(default = "defaults::post")]
    pub method: String,
    /// Path and query; a template.
    pub path: String,
    /// Its headers; templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Text, or an object that is sent as JSON; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
    /// Names of values that templates of this tenant may use from here on, each with the JSON pointer
    /// that says where in the answer it stands, such as `/token`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capture: BTreeMap<String, String>,
}

/// A number, a truth value or text, kept as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Scalar(pub String);

mod defaults {
    use sabot_toxics::units::Millis;

    pub(super) fn connections() -> u32 {
        100
    }

    pub(super) fn timeout() -> Millis {
        Millis::new(10_000)
    }

    pub(super) fn connect_timeout() -> Millis {
        Millis::new(2_000)
    }

    pub(super) fn queue_timeout() -> Millis {
        Millis::new(1_000)
    }

    pub(super) fn max_in_flight() -> u32 {
        10_000
    }

    pub(super) fn post() -> String {
        "POST".to_owned()
    }
}
