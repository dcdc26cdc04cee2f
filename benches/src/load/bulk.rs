//! Bulk transfer: iperf3, client to server.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{server, site};

/// What was carried.
pub struct Carried {
    /// As the receiver counted.
    pub gbit_per_s: f64,
    /// Bytes received.
    pub gigabytes: f64,
}

/// Sends for `seconds` over so many streams at once.
///
/// # Errors
/// iperf3 is missing, fails or hangs.
pub fn carry(to: SocketAddr, streams: u32, seconds: u32) -> Result<Carried> {
    let (host, port) = (to.ip().to_string(), to.port().to_string());
    let (seconds_text, streams_text) = (seconds.to_string(), streams.to_string());
    let args = ["-c", &host, "-p", &port, "-t", &seconds_text, "-P", &streams_text, "-J"];
    let limit = Duration::from_secs(u64::from(seconds) + 15);
    let text = server::run(&site::program("iperf3")?, &args, limit)?;
    let answer: Value = serde_json::from_str(&text)?;
    let received = |field: &str| {
        let value = answer.pointer(&format!("/end/sum_received/{field}")).and_then(Value::as_f64);
        value.with_context(|| format!("failed to find {field} in iperf3's answer"))
    };
    Ok(Carried { gbit_per_s: received("bits_per_second")? / 1e9, gigabytes: received("bytes")? / 1e9 })
}
