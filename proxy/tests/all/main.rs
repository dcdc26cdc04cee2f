//! The crate from outside: a controller, real loopback sockets, real servers.
//!
//! [`support`] alone knows how to serve, connect and wait; the rest reads as what
//! is promised.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::needless_pass_by_value, reason = "arguments are made on the spot, such as `json!({…})`")]

mod apply;
mod connect;
mod embed;
mod events;
mod injections;
mod labels;
mod lifecycle;
mod metrics;
mod populate;
mod relaying;
mod scarcity;
mod shutdown;
mod support;
mod toxics;
