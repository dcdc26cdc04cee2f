//! Connections and what happens to them.

use sabot_proxy::ConnectionView;
use serde::Serialize;
use utoipa::ToSchema;

/// A live connection.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connection {
    /// Unique in this run.
    id: u64,
    /// Its number on the proxy, from 1: what its draws hang on.
    number: u64,
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
    /// The name that the client asked for under TLS, where Sabot reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sni: Option<String>,
    /// `accepting`, `dialing`, `open` or `closing`.
    state: String,
}

impl From<ConnectionView> for Connection {
    fn from(connection: ConnectionView) -> Self {
        Self {
            id: connection.id,
            number: connection.number,
            proxy: connection.proxy,
            client: connection.client,
            upstream: connection.upstream,
            opened_ms_ago: connection.opened_ms_ago,
            bytes_upstream: connection.bytes_upstream,
            bytes_downstream: connection.bytes_downstream,
            held_bytes: connection.held_bytes,
            toxics: connection.toxics,
            sni: connection.sni,
            state: connection.state.to_string(),
        }
    }
}

/// Live connections.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connections {
    pub(in crate::v1) connections: Vec<Connection>,
}

/// The data of an event `request`.
#[derive(ToSchema)]
#[schema(as = Request)]
#[expect(dead_code, reason = "describes events that the proxy writes")]
pub(crate) struct RequestData {
    /// `request`, or `lagged` when the reader was too slow.
    r#type: String,
    /// When it was over, in milliseconds since the Unix epoch.
    at_ms: Option<u64>,
    /// Its number on the proxy, from 1.
    number: Option<u64>,
    /// The connection that it came over.
    connection: Option<u64>,
    /// Address of the client.
    client: Option<String>,
    /// `HTTP/1.1` or `HTTP/2`.
    protocol: Option<String>,
    /// The method.
    method: Option<String>,
    /// The host that was asked for.
    host: Option<String>,
    /// Path and query.
    path: Option<String>,
    /// The status that the client got; null if it got no answer.
    status: Option<u16>,
    /// From its head to the last byte of its answer.
    duration_ms: Option<f64>,
    /// Until the upstream had answered; null if it was not asked, or did not.
    upstream_ms: Option<f64>,
    /// The kinds of the toxics that acted on it.
    faults: Option<Vec<String>>,
    /// How many were missed.
    missed: Option<u64>,
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
    /// Of a connection that was opened: its number on the proxy, from 1.
    number: Option<u64>,
    /// The toxic that it is about.
    toxic: Option<String>,
    /// The kind of that toxic.
    kind: Option<String>,
    /// Why a connection ended.
    reason: Option<String>,
    /// How many events were missed.
    missed: Option<u64>,
}
