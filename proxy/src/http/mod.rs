//! Proxies that speak HTTP: every request is seen, and can meet a fault.
//!
//! hyper reads and writes the messages, but for the plainest; what is done with a request
//! is here. The rooms:
//!
//! - [`leg`]: the client's socket as hyper wants it, with the stream toxics beneath
//! - [`session`]: one client connection, and how it is driven
//! - [`request`]: what is done with a request
//! - [`forward`]: a request to the upstream and its answer back
//! - [`touched`], [`ahead`]: the way up of a request that a fault has touched, and the
//!   connection of its own that it goes over
//! - [`plain`]: the short way of requests that no fault wants to see
//! - [`tunnel`]: bytes both ways, once both sides have changed the protocol
//! - [`tied`]: the upstream's side of a tunnel, which ends as the client's does
//! - [`goaway`]: the end of an HTTP/2 connection with a code
//! - [`walk`]: where the frames of HTTP/2 begin and end
//! - [`pool`]: connections to the upstream, kept between requests
//! - [`expect`]: `Expect: 100-continue`
//! - [`h2c`]: the change to HTTP/2 without TLS
//! - [`headers`]: what belongs to one hop only
//! - [`reason`]: the reason phrases of answers
//! - [`onward`]: what a proxy changes in the heads that go up
//! - [`body`]: bodies as they pass from one side to the other
//! - [`upload`]: the body of a request, and what is left of it when nobody wants it
//! - [`shell`]: time and evidence for the faults
//! - [`stats`]: what is counted of requests
//! - [`undelivered`]: answers that stream toxics hold
//! - [`room`]: the cap on requests under a fault
//! - [`timer`]: hyper's timers, on those of the worker
//! - [`unread`]: a connection of which something was read already
//!
//! What a fault does is not known here: that is `sabot_toxics`.

mod ahead;
mod body;
mod expect;
mod forward;
mod goaway;
mod h2c;
mod headers;
pub(crate) mod leg;
mod onward;
mod plain;
mod pool;
mod reason;
mod request;
mod room;
mod session;
mod shell;
mod stats;
mod tied;
mod timer;
mod touched;
mod tunnel;
mod undelivered;
mod unread;
mod upload;
mod walk;

pub(crate) use onward::Onward;
#[cfg(feature = "fuzzing")]
pub(crate) use plain::laws::hold as short_way;
pub(crate) use pool::Pools;
pub(crate) use room::FaultRoom;
pub(crate) use session::serve;

/// Any error that ends a message.
type Error = Box<dyn std::error::Error + Send + Sync>;
