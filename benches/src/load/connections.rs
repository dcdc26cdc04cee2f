//! New connections: wrk, a connection for each request.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use super::wrk;

/// Connections a second, each with one small HTTP exchange.
///
/// # Errors
/// wrk is missing, fails or hangs, or more than 1 in 1000 exchanges fail.
pub fn per_s(to: SocketAddr, seconds: u32) -> Result<f64> {
    let text = wrk::run(&format!("http://{to}/"), seconds, &["-H", "Connection: close"])?;
    let rate = wrk::rate(&text)?;
    let failed = wrk::failures(&text);
    ensure!(failed <= rate * f64::from(seconds) / 1000.0, "{failed} exchanges failed: {text}");
    Ok(rate)
}
