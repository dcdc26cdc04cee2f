//! The wire types of `/v1`, from the outside.
//!
//! Apart from the server's own types on purpose: a client must be able to talk
//! to a server that knows more. Unknown fields in answers are ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which way bytes flow through a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    #[default]
    Downstream,
}

impl Direction {
    /// The name used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }
}

/// Who answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// Sabot's version.
    pub version: String,
    /// The Toxiproxy version whose routes it serves.
    pub toxiproxy_version: String,
    /// The seed of this run.
    pub seed: u64,
}

/// A kind of toxic as the server knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kind {
    /// Its name, the `type` of a toxic.
    pub kind: String,
    /// `stream` or `connect`.
    pub phase: String,
    /// One line.
    pub summary: String,
    /// The whole description.
    pub docs: String,
    /// Whether Toxiproxy has it too.
    pub toxiproxy: bool,
    /// JSON Schema of its attributes.
    pub schema: Value,
}

/// A proxy and what is on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proxy {
    /// Unique name.
    pub name: String,
    /// Where it listens; the resolved address once it is bound.
    pub listen: String,
    /// Where it connects to.
    pub upstream: String,
    /// What it speaks: `tcp` or `http`.
    #[serde(default)]
    pub protocol: String,
    /// TLS on either side: an object with `terminate`, `originate` or `passthrough`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Map<String, Value>>,
    /// How many requests may be under an HTTP fault at one time; none is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_active_faults: Option<u32>,
    /// The `Host` that the upstream gets; none is the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_rewrite: Option<String>,
    /// Whether the client's address is appended to `X-Forwarded-For`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub x_forwarded_for: bool,
    /// Whether it accepts connections.
    pub enabled: bool,
    /// What it is labelled with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its toxics, the upstream chain first; in each chain those that injections own last.
    #[serde(default)]
    pub toxics: Vec<Toxic>,
    /// How many connections it has and had.
    #[serde(default)]
    pub connections: ConnectionCount,
}

/// Connections of a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionCount {
    /// Alive now.
    pub open: u64,
    /// Since the proxy was created.
    pub total: u64,
}

/// A toxic on a proxy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Toxic {
    /// Unique in its proxy.
    pub name: String,
    /// The kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// The direction that it acts on.
    pub stream: Direction,
    /// Share of connections (HTTP faults: of requests) that it takes, 0 to 1.
    pub toxicity: f64,
    /// All attributes of the kind.
    pub attributes: Map<String, Value>,
    /// When it acts; empty = always.
    #[serde(default)]
    pub when: Map<String, Value>,
    /// How often it acted.
    #[serde(default)]
    pub applied: u64,
    /// When the server will remove it.
    #[serde(default)]
    pub expires_in_ms: Option<f64>,
    /// Who may change it; `toxic` for what people and clients set, `injection <id>` for what
    /// that injection owns.
    #[serde(default)]
    pub owner: String,
}

impl Toxic {
    /// The id of the injection that owns it; none if people or clients set it.
    #[must_use]
    pub fn injection(&self) -> Option<&str> {
        self.owner.strip_prefix("injection ")
    }
}

/// A proxy to be created.
#[derive(Clone, Debug, Serialize)]
pub struct NewProxy {
    /// Unique name.
    pub name: String,
    /// Where to listen; none = a free port on all interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Where to connect to.
    pub upstream: String,
    /// What it speaks: `tcp` (as without it) or `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// TLS on either side: an object with `terminate`, `originate` or `passthrough`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Map<String, Value>>,
    /// How many requests may be under an HTTP fault at one time; none is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_active_faults: Option<u32>,
    /// The `Host` that the upstream of an `http` proxy gets; none is the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_rewrite: Option<String>,
    /// Whether an `http` proxy appends the client's address to `X-Forwarded-For`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub x_forwarded_for: bool,
    /// Whether to accept connections at once.
    pub enabled: bool,
    /// What to select it by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Toxics from the start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub toxics: Vec<NewToxic>,
}

impl NewProxy {
    /// An enabled proxy on a free port without toxics.
    pub fn new(name: impl Into<String>, upstream: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            listen: None,
            upstream: upstream.into(),
            protocol: None,
            tls: None,
            max_active_faults: None,
            host_rewrite: None,
            x_forwarded_for: false,
            enabled: true,
            labels: BTreeMap::new(),
            toxics: Vec::new(),
        }
    }

    /// Listen there instead.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Speak that instead of `tcp`: `http`.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = Some(protocol.into());
        self
    }

    /// With that TLS: an object with `terminate`, `originate` or `passthrough`.
    #[must_use]
    pub fn tls(mut self, tls: Map<String, Value>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// With that label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// With this toxic from the start.
    #[must_use]
    pub fn toxic(mut self, toxic: NewToxic) -> Self {
        self.toxics.push(toxic);
        self
    }
}

/// What of a proxy is to change; none = as it is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProxyPatch {
    /// Listen there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Connect to there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Accept connections or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Its labels from now on, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// A toxic to be added.
///
/// ```
/// use sabot_client::{Direction, NewToxic};
///
/// let toxic = NewToxic::new("latency")
///     .attribute("latency", "1.5ms")
///     .stream(Direction::Upstream)
///     .toxicity(0.3)
///     .when("first", 10);
/// assert_eq!(toxic.kind, "latency");
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct NewToxic {
    /// Name; none = `<type>_<stream>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The kind, one of `sabot kinds`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The direction to act on.
    pub stream: Direction,
    /// Share of connections (HTTP faults: of requests) to take, 0 to 1.
    pub toxicity: f64,
    /// Attributes; what is left out gets its default.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// When to act; empty = always.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub when: Map<String, Value>,
}

impl NewToxic {
    /// That kind with its defaults, downstream, on every connection, always.
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            name: None,
            kind: kind.into(),
            stream: Direction::Downstream,
            toxicity: 1.0,
            attributes: Map::new(),
            when: Map::new(),
        }
    }

    /// Call it that.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Act on that direction.
    #[must_use]
    pub fn stream(mut self, stream: Direction) -> Self {
        self.stream = stream;
        self
    }

    /// Take that share of the connections.
    #[must_use]
    pub fn toxicity(mut self, share: f64) -> Self {
        self.toxicity = share;
        self
    }

    /// Set an attribute: a number in the attribute's own unit, or a string that
    /// names one (`"250us"`, `"10MB"`).
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Set a condition, such as `("first", 10)` or `("expires_after", "30s")`.
    #[must_use]
    pub fn when(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.when.insert(name.into(), value.into());
        self
    }
}

/// What of a toxic is to change; none = as it is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ToxicPatch {
    /// Attributes to change; the others stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Map<String, Value>>,
    /// The new share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toxicity: Option<f64>,
    /// Conditions to change, the others stay; `null` takes one away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Map<String, Value>>,
}

/// A live connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connection {
    /// Unique in this run.
    pub id: u64,
    /// Its number on the proxy, from 1: what its draws hang on.
    #[serde(default)]
    pub number: u64,
    /// The proxy it goes through.
    pub proxy: String,
    /// Address of the client.
    pub client: String,
    /// Address of the server; empty before it is dialled.
    #[serde(default)]
    pub upstream: String,
    /// Age in milliseconds.
    pub opened_ms_ago: u64,
    /// Bytes that went to the server.
    pub bytes_upstream: u64,
    /// Bytes that went to the client.
    pub bytes_downstream: u64,
    /// Bytes that toxics hold back now.
    #[serde(default)]
    pub held_bytes: u64,
    /// Names of the toxics that have it.
    #[serde(default)]
    pub toxics: Vec<String>,
    /// The name that the client asked for under TLS, where Sabot reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// `accepting`, `dialing`, `open` or `closing`.
    #[serde(default)]
    pub state: String,
}
