//! The I/O shell of Sabot: listeners, relays and the controller that owns them.
//!
//! | module | what is in it |
//! |---|---|
//! | [`Controller`] | the one owner of all state; every way in ends here |
//! | [`Proxy`] | a proxy of one's own, in three lines of a Rust test |
//! | [`model`] | what goes in and what comes out |
//! | `proxy`, `accept`, `connection`, `registry` | one proxy, from its listener to its live connections |
//! | `expiry`, `losses` | faults that end by themselves; whose injection is told of it |
//! | `labels` | what a proxy may be labelled with |
//! | `http` | proxies that speak HTTP, request by request |
//! | [`tls`] | TLS on either side, and Sabot's own CA |
//! | `relay` | bytes from one peer to the other, through the toxics or by the shortest way |
//! | `net` | sockets, worker threads, timers |
//! | [`event`], [`metrics`] | what can be seen from outside |
//!
//! What a fault does to a stream is not known here: that is `sabot_toxics`.

mod accept;
mod connection;
mod controller;
mod embed;
pub mod event;
mod expiry;
mod histogram;
mod http;
mod labels;
mod losses;
pub mod metrics;
pub mod model;
pub(crate) mod net;
mod options;
mod proxy;
mod registry;
pub(crate) mod relay;
mod shell;
mod tally;
pub mod tls;

pub use controller::Controller;
pub use embed::Proxy;
pub use event::{Event, What};
pub use losses::{Lost, Why};
pub use model::{
    ApplySummary, ConnectionView, ControlError, Distribution, HttpTotals, Protocol, ProxyPatch, ProxySpec,
    ProxyTotals, ProxyView, ToxicPatch, ToxicView,
};
pub use options::Options;
pub use proxy::check_upstream;
pub use serde_json::json;
pub use tls::{Authority, CaError, TlsSpec};

/// For the fuzz target of the short way of HTTP: panics on a defect.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn short_way(data: &[u8]) {
    http::short_way(data);
}
