//! What the Toxiproxy routes answer, key by key in Toxiproxy's order.

use sabot_proxy::{ProxyView, TlsSpec, ToxicView};
use sabot_toxics::Direction;
use serde::Serialize;
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

use super::attributes;

/// A toxic.
#[derive(Serialize, ToSchema)]
#[schema(as = ClassicToxic)]
pub(crate) struct Toxic {
    /// All attributes that Toxiproxy's kind has, integers where they are there.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// Unique on its proxy.
    name: String,
    /// The kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The direction that it acts on.
    #[schema(value_type = crate::v1::wire::Stream)]
    stream: Direction,
    /// Share of the connections that it acts on.
    #[schema(value_type = f64)]
    toxicity: Number,
}

impl From<&ToxicView> for Toxic {
    fn from(toxic: &ToxicView) -> Self {
        Self {
            attributes: attributes::show(toxic),
            name: toxic.name.clone(),
            kind: toxic.kind.name,
            stream: toxic.stream,
            toxicity: attributes::number(toxic.toxicity),
        }
    }
}

/// A proxy.
#[derive(Serialize, ToSchema)]
#[schema(as = ClassicProxy)]
pub(crate) struct Proxy {
    /// Unique name.
    name: String,
    /// Where it listens; the resolved address once it was bound.
    listen: String,
    /// Where it connects to.
    upstream: String,
    /// TLS on either side; absent without any, as in Toxiproxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    tls: Option<TlsSpec>,
    /// Whether it accepts connections.
    enabled: bool,
    /// Its toxics, the upstream chain first.
    toxics: Vec<Toxic>,
}

impl From<&ProxyView> for Proxy {
    fn from(proxy: &ProxyView) -> Self {
        Self {
            name: proxy.name.clone(),
            listen: proxy.listen.clone(),
            upstream: proxy.upstream.clone(),
            tls: proxy.tls.clone(),
            enabled: proxy.enabled,
            toxics: proxy.toxics.iter().map(Toxic::from).collect(),
        }
    }
}

/// The answer to a populate.
#[derive(Serialize, ToSchema)]
#[schema(as = ClassicPopulated)]
pub(crate) struct Populated {
    /// The proxies that were asked for, in the order of the request.
    pub(crate) proxies: Vec<Proxy>,
}

/// The answer of the readiness probe.
#[derive(ToSchema)]
#[schema(as = ClassicVersion)]
#[expect(dead_code, reason = "describes an answer that is written by hand")]
pub(crate) struct Version {
    /// The Toxiproxy version whose behaviour these routes have.
    version: &'static str,
    /// Sabot's own version.
    sabot: &'static str,
}
