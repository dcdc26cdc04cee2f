//! What `/v1` reads and answers. Apart from the domain's types, so that those
//! can change without the wire noticing.

use sabot_proxy::{ConnectionView, ProxyPatch, ProxySpec, ProxyView, ToxicView};
use sabot_toxics::{Direction, Kind, Phase, ToxicSpec, When};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;
use utoipa::openapi::Ref;

/// Who answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    /// Sabot's version.
    pub(super) version: &'static str,
    /// The Toxiproxy version whose routes it serves.
    pub(super) toxiproxy_version: &'static str,
    /// The seed of this run: with it, every decision comes again.
    pub(super) seed: u64,
}

/// A kind of toxic.
#[derive(Serialize, ToSchema)]
#[schema(as = Kind)]
pub(crate) struct KindView {
    /// Its name, the `type` of a toxic.
    kind: &'static str,
    /// When it acts.
    #[schema(value_type = PhaseName)]
    phase: Phase,
    /// What it does, in one sentence.
    summary: String,
    /// What it does, in full (Markdown).
    docs: String,
    /// Whether Toxiproxy has it too.
    toxiproxy: bool,
    /// JSON Schema of its attributes.
    #[schema(value_type = Object)]
    schema: &'static Value,
}

impl From<&'static Kind> for KindView {
    fn from(kind: &'static Kind) -> Self {
        Self {
            kind: kind.name,
            phase: kind.phase,
            summary: kind.summary(),
            docs: kind.docs(),
            toxiproxy: kind.classic.is_some(),
            schema: kind.schema(),
        }
    }
}

/// The part of a connection's life in which a toxic acts.
#[derive(ToSchema)]
#[schema(as = Phase, rename_all = "lowercase")]
#[expect(dead_code, reason = "describes a type of the core")]
pub(crate) enum PhaseName {
    /// Accepting and dialling.
    Connect,
    /// While bytes flow.
    Stream,
}

/// Which way bytes flow.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes a type of the core")]
pub(crate) enum Stream {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    Downstream,
}

/// All kinds, sorted by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Kinds {
    pub(super) kinds: Vec<KindView>,
}

/// A proxy and what is on it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Proxy {
    /// Unique name.
    name: String,
    /// Where it listens; the resolved address once it was bound.
    listen: String,
    /// Where it connects to.
    upstream: String,
    /// Whether it accepts connections.
    enabled: bool,
    /// Its toxics, the upstream chain first.
    toxics: Vec<Toxic>,
    /// How many connections it has and had.
    connections: ConnectionCount,
}

/// Connections of a proxy.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectionCount {
    /// Alive now.
    open: u64,
    /// Since the proxy was created.
    total: u64,
}

impl From<ProxyView> for Proxy {
    fn from(proxy: ProxyView) -> Self {
        let (open, total) = (proxy.open_connections as u64, proxy.total_connections);
        Self {
            name: proxy.name,
            listen: proxy.listen,
            upstream: proxy.upstream,
            enabled: proxy.enabled,
            toxics: proxy.toxics.into_iter().map(Toxic::from).collect(),
            connections: ConnectionCount { open, total },
        }
    }
}

/// All proxies, sorted by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Proxies {
    pub(super) proxies: Vec<Proxy>,
}

/// A proxy to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProxy {
    /// Unique name.
    #[schema(min_length = 1)]
    name: String,
    /// Where to listen: `host:port`, `[v6]:port`, `:port` or `unix:/path`. Absent
    /// or empty is a free port on all interfaces; port 0 is a free port.
    listen: Option<String>,
    /// Where to connect to, in the same forms.
    #[schema(min_length = 1)]
    upstream: String,
    /// Whether to accept connections at once.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Toxics from the start.
    #[schema(schema_with = new_toxics)]
    toxics: Option<Vec<ToxicSpec>>,
}

impl From<NewProxy> for ProxySpec {
    fn from(new: NewProxy) -> Self {
        Self {
            name: new.name,
            listen: new.listen,
            upstream: new.upstream,
            enabled: new.enabled.unwrap_or(true),
            toxics: new.toxics.unwrap_or_default(),
        }
    }
}

/// What of a proxy is to change; what is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProxyPatch)]
pub(crate) struct PatchProxy {
    /// Listen there. A changed address drops the proxy's connections.
    listen: Option<String>,
    /// Connect to there. A changed address drops the proxy's connections.
    upstream: Option<String>,
    /// Accept connections or not; `false` drops those it has.
    enabled: Option<bool>,
}

impl From<PatchProxy> for ProxyPatch {
    fn from(patch: PatchProxy) -> Self {
        Self { listen: patch.listen, upstream: patch.upstream, enabled: patch.enabled }
    }
}

/// A toxic on a proxy.
#[derive(Serialize, ToSchema)]
pub(crate) struct Toxic {
    /// Unique on its proxy over both directions.
    name: String,
    /// The kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The direction that it acts on.
    #[schema(value_type = Stream)]
    stream: Direction,
    /// Share of the connections that it acts on, 0 to 1.
    toxicity: f64,
    /// All attributes of the kind.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// When it acts; empty is always.
    #[schema(schema_with = when)]
    when: When,
    /// On how many connections it acted so far.
    applied: u64,
    /// In how many milliseconds the server removes it; `null` is never.
    #[schema(value_type = Option<f64>)]
    expires_in_ms: Option<Number>,
    /// Who may change it: `toxic` is for what people and clients set.
    owner: &'static str,
}

impl From<ToxicView> for Toxic {
    fn from(toxic: ToxicView) -> Self {
        Self {
            name: toxic.name,
            kind: toxic.kind.name,
            stream: toxic.stream,
            toxicity: toxic.toxicity,
            attributes: toxic.attributes,
            when: toxic.when,
            applied: toxic.applied,
            expires_in_ms: toxic.expires_in_ms.and_then(Number::from_f64),
            owner: "toxic",
        }
    }
}

/// The toxics of a proxy, the upstream chain first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Toxics {
    pub(super) toxics: Vec<Toxic>,
}

/// What of a toxic is to change; what is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ToxicPatch)]
pub(crate) struct PatchToxic {
    /// Attributes to change, the others stay; `null` brings back the default.
    #[schema(value_type = Option<Object>)]
    pub(super) attributes: Option<Map<String, Value>>,
    /// The new share of connections.
    #[schema(minimum = 0, maximum = 1)]
    pub(super) toxicity: Option<f64>,
    /// The new conditions, all of them.
    #[schema(schema_with = when)]
    pub(super) when: Option<Value>,
}

/// A live connection.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connection {
    /// Unique in this run.
    id: u64,
    /// The proxy that it goes through.
    proxy: String,
    /// Address of the client.
    client: String,
    /// Address of the server; empty before it was dialled.
    upstream: String,
    /// Its age.
    opened_ms_ago: u64,
    /// Bytes that went to the server.
    bytes_upstream: u64,
    /// Bytes that went to the client.
    bytes_downstream: u64,
    /// Bytes that toxics hold back now.
    held_bytes: u64,
    /// The toxics that have it.
    toxics: Vec<String>,
    /// `accepting`, `dialing`, `open` or `closing`.
    state: String,
}

impl From<ConnectionView> for Connection {
    fn from(connection: ConnectionView) -> Self {
        Self {
            id: connection.id,
            proxy: connection.proxy,
            client: connection.client,
            upstream: connection.upstream,
            opened_ms_ago: connection.opened_ms_ago,
            bytes_upstream: connection.bytes_upstream,
            bytes_downstream: connection.bytes_downstream,
            held_bytes: connection.held_bytes,
            toxics: connection.toxics,
            state: connection.state.to_string(),
        }
    }
}

/// Live connections.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connections {
    pub(super) connections: Vec<Connection>,
}

/// The data of a server-sent event: what they all have, and what some have.
#[derive(ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "describes events that the proxy writes")]
pub(crate) struct EventData {
    /// `connection_opened`, `connection_closed`, `connection_failed`, `toxic_applied`, `toxic_added`,
    /// `toxic_updated`, `toxic_removed`, `proxy_updated`, or `lagged` when the reader was too slow.
    r#type: String,
    /// When, in milliseconds since the Unix epoch.
    at_ms: Option<u64>,
    /// The connection that it is about.
    connection: Option<u64>,
    /// The toxic that it is about.
    toxic: Option<String>,
    /// The kind of that toxic.
    kind: Option<String>,
    /// Why a connection ended.
    reason: Option<String>,
    /// How many events were missed.
    missed: Option<u64>,
}

/// The catalog describes a toxic; see `openapi`.
fn new_toxics() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::Array::new(Ref::from_schema_name("NewToxic"))
}

fn when() -> Ref {
    Ref::from_schema_name("When")
}
