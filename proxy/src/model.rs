//! What goes into the controller and what comes out of it.

use std::collections::BTreeMap;
use std::io;

use sabot_toxics::{Direction, Invalid, Kind, ToxicSpec, When};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use crate::histogram::Distribution;
use crate::tls::TlsSpec;

/// A proxy as it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxySpec {
    /// Unique; any text that is not empty.
    pub name: String,
    /// Where to listen: `host:port`, `[v6]:port`, `:port` or `unix:/path`.
    /// Absent or empty is a free port on all interfaces, port 0 a free port.
    #[serde(default)]
    pub listen: Option<String>,
    /// Where to connect to, in the same forms; resolved at each connection.
    pub upstream: String,
    /// What it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// TLS on either side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// How many requests may be under an HTTP fault at one time, at least 1; none is no
    /// limit. What comes above it passes without.
    #[serde(default)]
    pub max_active_faults: Option<u32>,
    /// The `Host` that the upstream of an HTTP proxy gets, in place of the client's.
    #[serde(default)]
    pub host_rewrite: Option<String>,
    /// Whether an HTTP proxy appends the client's address to `X-Forwarded-For`.
    #[serde(default)]
    pub x_forwarded_for: bool,
    /// Whether to accept connections.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What it is to whoever selects proxies: at most 32 keys, see `labels`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its toxics, in the order of their chains.
    #[serde(default)]
    pub toxics: Vec<ToxicSpec>,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Bytes.
    #[default]
    Tcp,
    /// HTTP/1.1 and HTTP/2, found out per connection.
    Http,
}

impl Protocol {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
        }
    }
}

fn yes() -> bool {
    true
}

impl ProxySpec {
    /// An enabled proxy without toxics, on a free port of the loopback interface.
    pub fn new(name: impl Into<String>, upstream: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            listen: Some("127.0.0.1:0".to_owned()),
            upstream: upstream.into(),
            protocol: Protocol::Tcp,
            tls: None,
            max_active_faults: None,
            host_rewrite: None,
            x_forwarded_for: false,
            enabled: true,
            labels: BTreeMap::new(),
            toxics: Vec::new(),
        }
    }
}

/// A proxy as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyView {
    /// Its name.
    pub name: String,
    /// Where it listens; the resolved address once it was bound.
    pub listen: String,
    /// Where it connects to, as it was asked for.
    pub upstream: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// TLS on either side.
    pub tls: Option<TlsSpec>,
    /// How many requests may be under an HTTP fault at one time.
    pub max_active_faults: Option<u32>,
    /// The `Host` that the upstream gets, in place of the client's.
    pub host_rewrite: Option<String>,
    /// Whether the client's address is appended to `X-Forwarded-For`.
    pub x_forwarded_for: bool,
    /// Whether it accepts connections.
    pub enabled: bool,
    /// What it is labelled with.
    pub labels: BTreeMap<String, String>,
    /// What people and clients set: the upstream chain first, then the downstream one.
    pub toxics: Vec<ToxicView>,
    /// What injections own, which comes after the toxics in each chain; in the same order.
    pub injected: Vec<ToxicView>,
    /// Connections alive now.
    pub open_connections: usize,
    /// Connections accepted since the proxy was created.
    pub total_connections: u64,
}

/// What of a proxy is to change; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyPatch {
    /// Listen there.
    pub listen: Option<String>,
    /// Connect to there.
    pub upstream: Option<String>,
    /// Accept connections or not.
    pub enabled: Option<bool>,
    /// Its labels from now on, all of them.
    pub labels: Option<BTreeMap<String, String>>,
}

/// A toxic as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ToxicView {
    /// Unique on the proxy over both directions, among those of its layer: what people set,
    /// or what injections own.
    pub name: String,
    /// The id of the injection that owns it; none is what people and clients set.
    pub owner: Option<String>,
    /// What it does.
    pub kind: &'static Kind,
    /// Which direction it acts on.
    pub stream: Direction,
    /// Share of the connections it acts on.
    pub toxicity: f64,
    /// All its attributes.
    pub attributes: Map<String, Value>,
    /// When it acts.
    pub when: When,
    /// On how many connections it acted so far.
    pub applied: u64,
    /// In how many milliseconds the server removes it; `None` is never.
    pub expires_in_ms: Option<f64>,
}

/// What of a toxic is to change; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToxicPatch {
    /// Attributes to lay over the present ones; `null` brings back the default.
    pub attributes: Option<Map<String, Value>>,
    /// The new share of connections, or of requests for HTTP faults.
    pub toxicity: Option<f64>,
    /// The new conditions. Their times and counts begin anew.
    pub when: Option<When>,
}

/// A live connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionView {
    /// Unique in this run.
    pub id: u64,
    /// Its number on the proxy, from 1: what its draws hang on.
    pub number: u64,
    /// The proxy that it goes through.
    pub proxy: String,
    /// Address of the client; `unix` over a Unix socket.
    pub client: String,
    /// Where it was or is being connected to.
    pub upstream: String,
    /// Its age.
    pub opened_ms_ago: u64,
    /// Bytes written to the upstream.
    pub bytes_upstream: u64,
    /// Bytes written to the client.
    pub bytes_downstream: u64,
    /// Bytes that toxics hold now.
    pub held_bytes: u64,
    /// The toxics that have hold of it.
    pub toxics: Vec<String>,
    /// The name that the client asked for under TLS, where Sabot reads it.
    pub sni: Option<String>,
    /// `accepting`, `dialing`, `open` or `closing`.
    pub state: &'static str,
}

/// What a proxy has counted since it was created. Bytes are given upstream first,
/// and are live.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyTotals {
    /// The proxy.
    pub name: String,
    /// Where it listens.
    pub listen: String,
    /// Where it connects to.
    pub upstream: String,
    /// Connections alive now.
    pub open_connections: usize,
    /// Connections accepted.
    pub total_connections: u64,
    /// Bytes read from the source of each direction.
    pub received: [u64; 2],
    /// Bytes written to the sink of each direction.
    pub sent: [u64; 2],
    /// Bytes that toxics hold now.
    pub held_bytes: usize,
    /// Connections that never reached their upstream, by reason.
    pub failed: BTreeMap<&'static str, u64>,
    /// Errors of accept, by reason.
    pub accept_errors: BTreeMap<&'static str, u64>,
    /// Connections on which a fault acted, by kind.
    pub applied: BTreeMap<&'static str, u64>,
    /// Client connections of an HTTP proxy that sent what is no HTTP.
    pub malformed: u64,
    /// Requests that no fault acted on since `max_active_faults` others were under one.
    pub faults_capped: u64,
    /// Its requests, if it speaks HTTP.
    pub http: Option<HttpTotals>,
}

/// What an HTTP proxy has counted of requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpTotals {
    /// Requests by method and class of their status (`"2xx"`, or `"none"` without an answer).
    pub requests: BTreeMap<(&'static str, &'static str), u64>,
    /// Those that have no answer yet, or not all of it.
    pub in_flight: u64,
    /// Connections to the upstream that wait for a request.
    pub idle_connections: usize,
    /// Requests that went up over a connection that was there already.
    pub reused: u64,
    /// From the head of a request to the last byte of its answer.
    pub duration: Distribution,
    /// From sending a request up to the head of its answer.
    pub upstream: Distribution,
}

/// What [`crate::Controller::apply`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplySummary {
    /// Proxies that are new.
    pub created: Vec<String>,
    /// Proxies that changed in address, state or toxics.
    pub changed: Vec<String>,
    /// Proxies that an earlier configuration had and this one has not.
    pub removed: Vec<String>,
}

/// Why a call was refused. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No proxy of that name.
    #[error("there is no proxy `{name}`")]
    ProxyNotFound {
        /// The name given.
        name: String,
    },
    /// No toxic of that name.
    #[error("there is no toxic `{name}`")]
    ToxicNotFound {
        /// The name given.
        name: String,
    },
    /// No connection of that number.
    #[error("there is no connection {id}")]
    ConnectionNotFound {
        /// The number given.
        id: u64,
    },
    /// The name is taken.
    #[error("there is a proxy `{name}` already")]
    ProxyExists {
        /// The name given.
        name: String,
    },
    /// The name is taken, in either direction.
    #[error("there is a toxic `{name}` already")]
    ToxicExists {
        /// The name given.
        name: String,
    },
    /// It is not people's to change.
    #[error("`{name}` belongs to injection {injection}: end it with `sabot revert {injection}`")]
    Injected {
        /// The name given.
        name: String,
        /// The id of the injection that owns it.
        injection: String,
    },
    /// What does not run can have no injected fault.
    #[error("the proxy `{name}` is disabled: enable it before anything is injected")]
    ProxyDisabled {
        /// The proxy.
        name: String,
    },
    /// A field cannot be what was given.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The listener could not be opened.
    #[error("failed to listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Threads, descriptors or timers were not to be had.
    #[error("failed to start the workers: {0}")]
    Start(#[source] io::Error),
    /// The controller is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
}
