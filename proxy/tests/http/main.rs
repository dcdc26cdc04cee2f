//! HTTP proxies from outside: real sockets, both versions, and bytes that are no HTTP.
//!
//! [`support`] alone knows how to serve, connect and wait; the rest reads as what
//! is promised.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::needless_pass_by_value, reason = "arguments are made on the spot, such as `json!({…})`")]

mod ahead;
#[path = "../all/support.rs"]
#[allow(dead_code, reason = "each target uses a part of it")]
mod base;
mod beneath;
mod counted;
mod drain;
mod early;
mod expect;
mod faults;
mod goaway;
mod heads;
mod malformed;
mod onward;
mod passing;
mod resets;
mod reuse;
mod support;
mod trouble;
mod upgrade;
mod websocket;
