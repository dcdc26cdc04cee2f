//! What happens on a proxy, told to whoever listens.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::broadcast;

/// Events that a slow listener may lag behind before it misses some.
const BACKLOG: usize = 1024;

/// Something that happened on a proxy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum What {
    /// A client was accepted.
    ConnectionOpened {
        /// The connection.
        connection: u64,
        /// Its number on the proxy, from 1.
        number: u64,
        /// Address of the client.
        client: String,
        /// Where it goes.
        upstream: String,
    },
    /// A connection that had reached its upstream ended.
    ConnectionClosed {
        /// The connection.
        connection: u64,
        /// Address of the client.
        client: String,
        /// Why.
        reason: &'static str,
        /// Bytes written to the upstream.
        bytes_upstream: u64,
        /// Bytes written to the client.
        bytes_downstream: u64,
        /// How long it lived.
        duration_ms: u64,
    },
    /// A connection ended without having reached its upstream.
    ConnectionFailed {
        /// The connection.
        connection: u64,
        /// Address of the client.
        client: String,
        /// Why, as in the metric.
        reason: &'static str,
        /// What the system said, if it said something.
        error: Option<String>,
    },
    /// A toxic acted on a connection for the first time.
    ToxicApplied {
        /// The connection.
        connection: u64,
        /// The toxic.
        toxic: String,
        /// Its kind.
        kind: &'static str,
    },
    /// A toxic was added.
    ToxicAdded {
        /// The toxic.
        toxic: String,
        /// Its kind.
        kind: &'static str,
    },
    /// A toxic's settings changed.
    ToxicUpdated {
        /// The toxic.
        toxic: String,
        /// Its kind.
        kind: &'static str,
    },
    /// A toxic was removed.
    ToxicRemoved {
        /// The toxic.
        toxic: String,
        /// Its kind.
        kind: &'static str,
        /// Whether the server removed it because its time was over.
        expired: bool,
    },
    /// An HTTP request was answered, or given up. These have a stream of their own.
    Request {
        /// Its number on the proxy, from 1.
        number: u64,
        /// The connection that it came over.
        connection: u64,
        /// Address of the client.
        client: String,
        /// `HTTP/1.1` or `HTTP/2`.
        protocol: &'static str,
        /// The method.
        method: String,
        /// The host that was asked for.
        host: Option<String>,
        /// Path and query.
        path: String,
        /// The status that the client got; none if it got no answer.
        status: Option<u16>,
        /// From its head to the last byte of its answer.
        duration_ms: f64,
        /// Until the upstream had answered; none if it was not asked, or did not.
        upstream_ms: Option<f64>,
        /// The kinds of the toxics that acted on it.
        faults: Vec<&'static str>,
    },
    /// The proxy was enabled, disabled or moved.
    ProxyUpdated {
        /// Where it listens.
        listen: String,
        /// Where it connects to.
        upstream: String,
        /// Whether it accepts connections.
        enabled: bool,
    },
}

/// The sending side. The channel has all its room from the start, so it is made
/// for the first listener: most proxies never have one.
#[derive(Debug, Default)]
pub(crate) struct Events(OnceLock<broadcast::Sender<Event>>);

impl Events {
    /// Tells the listeners; `what` is not even made when there are none.
    pub(crate) fn tell(&self, what: impl FnOnce() -> What) {
        let Some(listeners) = self.0.get().filter(|listeners| listeners.receiver_count() > 0) else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        // Refused only if the last listener has just gone.
        let _ = listeners.send(Event { at_ms, what: what() });
    }

    /// Whether anybody listens: what is costly to tell need not be gathered otherwise.
    pub(crate) fn has_listeners(&self) -> bool {
        self.0.get().is_some_and(|listeners| listeners.receiver_count() > 0)
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.get_or_init(|| broadcast::Sender::new(BACKLOG)).subscribe()
    }
}
