//! Faults of HTTP requests: what one is, what it is told, what it may answer.
//!
//! A fault is one async function around the rest of the request's way, as in tower:
//! it may wait, answer by itself, change what goes up, change what comes back, or
//! break off. Who it is meant for is said by a [`Match`], which is one for all kinds
//! and never theirs to look at. The rooms:
//!
//! - [`matching`], [`pattern`]: which requests
//! - [`chain`]: the faults that one request meets
//! - `next`: its way through them, to the upstream
//! - [`values`], [`codes`]: what several faults take
//! - [`body`]: bodies that stream, and the few ways to change one
//! - [`content`], [`json`]: a body put in another's place, perhaps compressed; changes of a JSON document
//! - [`connection`]: what belongs to the client's connection
//! - [`tunnel`]: what becomes of a connection that has changed its protocol
//! - `pace`, `limit`, `events`: a body at a rate, requests at a rate, where events end
//! - `frames`, `messages`: the frames of a WebSocket, and what becomes of its messages
//! - `held`: what waits of a stream
//! - `host`: the host that is asked for, in the one place where faults look

pub mod body;
pub mod chain;
pub mod codes;
pub mod connection;
pub mod content;
pub(crate) mod events;
pub(crate) mod frames;
pub(crate) mod held;
mod host;
pub mod json;
pub(crate) mod limit;
pub mod matching;
pub(crate) mod messages;
pub(crate) mod next;
pub(crate) mod pace;
pub mod pattern;
pub mod tunnel;
pub mod values;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::Invalid;

pub use body::Body;
pub use chain::{Chain, Current, Cx, Permit, RequestKey, Shell};
pub use connection::{Connection, GoAway};
pub use matching::{Head, Match};
pub use next::{Dialled, Next, Upstream};
pub use pattern::Pattern;
pub use tunnel::Tunnel;

/// A request on its way up.
pub type Request = http::Request<Body>;
/// An answer on its way down.
pub type Response = http::Response<Body>;
/// A boxed future that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// What becomes of a request.
pub type Answer = Result<Response, Fault>;

/// A fault of HTTP requests.
///
/// As with [`crate::Toxic`] the implementing type is the settings: its fields are the
/// attributes, its doc comment the documentation, its `Default` what an absent
/// attribute means.
pub trait HttpToxic: Serialize + DeserializeOwned + JsonSchema + Default + Send + Sync + 'static {
    /// The `type` of the toxic on the wire.
    const KIND: &'static str;
    /// For kinds that Toxiproxy or a fork of it has: the attributes its routes show.
    const CLASSIC: Option<&'static [&'static str]> = None;
    /// Attributes with which it is shown in use, as the command line takes them; without
    /// any, the first one that means something alone.
    const EXAMPLE: &'static [(&'static str, &'static str)] = &[];

    /// Refuses settings that types alone allow.
    ///
    /// # Errors
    /// The first field that cannot be what it is.
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// Whether it does something to what goes up, or decides whether it does: it cannot
    /// wait then for the status of the answer to say who is meant, and `match.status` is
    /// refused.
    fn acts_before_answer(&self) -> bool {
        false
    }

    /// Whether it passes each request on, and at once: it neither answers one nor has it
    /// wait. What waits before it can then get the upstream ready.
    fn passes_on(&self) -> bool {
        false
    }

    /// Refuses a `match` under which it could never act.
    ///
    /// # Errors
    /// The first field of `match` that excludes all it acts on.
    fn check_match(&self, _: &Match) -> Result<(), Invalid> {
        Ok(())
    }

    /// Does to a request that was matched and drawn what the fault does. `next` is
    /// the rest of its way. What acts says so ([`Cx::acted`]).
    fn call(
        self: Arc<Self>,
        cx: Cx,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Answer> + Send + 'static;
}

/// An end of a request that is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// RST: of the stream with that code (HTTP/2), of the socket (HTTP/1).
    #[error("reset with code {0}")]
    Reset(u32),
    /// Over HTTP/2, GOAWAY with that code: the request was not taken up.
    #[error("the connection went away with code {0}")]
    GoAway(u32),
    /// The connection is closed before the answer is complete.
    #[error("closed before the answer was complete")]
    Close,
    /// The upstream was not reached, or broke off.
    #[error("{reason}: {message}")]
    Upstream {
        /// As in the metric of failed connections.
        reason: &'static str,
        /// What happened.
        message: String,
    },
}
