//! Proxies.

use std::collections::BTreeMap;

use sabot_proxy::{Protocol, ProxyPatch, ProxySpec, ProxyView, TlsSpec, ToxicView};
use sabot_toxics::ToxicSpec;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::Array;

use super::Toxic;

/// A proxy and what is on it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Proxy {
    /// Unique name.
    name: String,
    /// Where it listens; the resolved address once it was bound.
    listen: String,
    /// Where it connects to.
    upstream: String,
    /// What it speaks: `tcp` or `http`.
    #[schema(value_type = String, example = "tcp")]
    protocol: Protocol,
    /// TLS on either side; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = tls)]
    tls: Option<TlsSpec>,
    /// How many requests may be under an HTTP fault at one time; absent is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_active_faults: Option<u32>,
    /// The `Host` that the upstream gets; absent is the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_rewrite: Option<String>,
    /// Whether the client's address is appended to `X-Forwarded-For`; absent is not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(default = false)]
    x_forwarded_for: bool,
    /// Whether it accepts connections.
    enabled: bool,
    /// What it is labelled with; absent without any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    labels: BTreeMap<String, String>,
    /// Its toxics, the upstream chain first; in each chain those that injections own last.
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
            protocol: proxy.protocol,
            tls: proxy.tls,
            max_active_faults: proxy.max_active_faults,
            host_rewrite: proxy.host_rewrite,
            x_forwarded_for: proxy.x_forwarded_for,
            enabled: proxy.enabled,
            labels: proxy.labels,
            toxics: in_order(proxy.toxics, proxy.injected),
            connections: ConnectionCount { open, total },
        }
    }
}

/// Both layers of a proxy in the order of its chains.
pub(in crate::v1) fn in_order(toxics: Vec<ToxicView>, injected: Vec<ToxicView>) -> Vec<Toxic> {
    let mut all: Vec<_> = toxics.into_iter().chain(injected).collect();
    // Stable: within a chain they stay in order.
    all.sort_by_key(|toxic| toxic.stream as usize);
    all.into_iter().map(Toxic::from).collect()
}

/// All proxies, sorted by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Proxies {
    pub(in crate::v1) proxies: Vec<Proxy>,
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
    /// What it speaks: `tcp` or `http`. HTTP proxies see every request, in HTTP/1.1 or
    /// HTTP/2, and take toxics that act on requests.
    #[schema(value_type = Option<String>, default = "tcp")]
    protocol: Option<Protocol>,
    /// TLS on either side: terminated, originated or passed through.
    #[schema(schema_with = tls)]
    tls: Option<TlsSpec>,
    /// How many requests may be under an HTTP fault at one time, on a proxy that speaks
    /// `http`; those above it pass without. Absent is no limit.
    #[schema(minimum = 1)]
    max_active_faults: Option<u32>,
    /// The `Host`, or `:authority`, that the upstream of a proxy that speaks `http` gets: a
    /// name or an address, and perhaps a port. Absent is the one that the client sent.
    #[schema(min_length = 1, example = "api.example:8443")]
    host_rewrite: Option<String>,
    /// Whether a proxy that speaks `http` appends the client's address to
    /// `X-Forwarded-For`.
    #[schema(default = false)]
    x_forwarded_for: Option<bool>,
    /// Whether to accept connections at once.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// What to select it by: keys of up to 63 letters, digits and `. _ / -`, values of up to 63
    /// letters, digits and `. _ : @ / -`, 32 at most.
    #[schema(example = json!({"service": "payments"}))]
    labels: Option<BTreeMap<String, String>>,
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
            protocol: new.protocol.unwrap_or_default(),
            tls: new.tls,
            max_active_faults: new.max_active_faults,
            host_rewrite: new.host_rewrite,
            x_forwarded_for: new.x_forwarded_for.unwrap_or(false),
            enabled: new.enabled.unwrap_or(true),
            labels: new.labels.unwrap_or_default(),
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
    /// Its labels from now on, in place of all that it has; connections do not notice.
    labels: Option<BTreeMap<String, String>>,
}

impl From<PatchProxy> for ProxyPatch {
    fn from(patch: PatchProxy) -> Self {
        Self { listen: patch.listen, upstream: patch.upstream, enabled: patch.enabled, labels: patch.labels }
    }
}

/// The proxy describes its TLS; see `openapi`.
fn tls() -> Ref {
    Ref::from_schema_name("Tls")
}

/// The catalog describes a toxic; see `openapi`.
fn new_toxics() -> Array {
    Array::new(Ref::from_schema_name("NewToxic"))
}
