//! What `/v1` reads and answers. Apart from the domain's types, so that those
//! can change without the wire noticing.

mod connection;
mod proxy;
mod token;
mod toxic;

use sabot_toxics::{Kind, Phase};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub(crate) use connection::{Connection, Connections, EventData, RequestData};
pub(super) use proxy::in_order;
pub(crate) use proxy::{NewProxy, PatchProxy, Proxies, Proxy};
pub(crate) use token::{CreatedToken, NewToken, Tokens};
pub(crate) use toxic::{PatchToxic, Toxic, Toxics};

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
    /// The TLS handshake and the end of a connection under TLS.
    Tls,
    /// While a request is on its way.
    Http,
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
