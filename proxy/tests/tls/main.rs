//! TLS on either side of a proxy, from outside: real sockets, rustls and hyper as peers.
//! What openssl and curl make of it stands in `tests/peers/test_tls.py`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::needless_pass_by_value, reason = "arguments are made on the spot, such as `json!({…})`")]

#[path = "../all/support.rs"]
#[allow(dead_code, reason = "each target uses a part of it")]
mod base;
mod faults;
mod passing;
mod support;
