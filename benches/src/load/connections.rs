//! New connections: wrk, a connection for each request.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{server, site};

const CLIENTS: &str = "64";

/// Connections a second, each with one small HTTP exchange.
///
/// # Errors
/// wrk is missing, fails or hangs, or more than 1 in 1000 exchanges fail.
pub fn per_s(to: SocketAddr, seconds: u32) -> Result<f64> {
    let (url, time) = (format!("http://{to}/"), format!("{seconds}s"));
    let args = ["-t", "1", "-c", CLIENTS, "-d", &time, "-H", "Connection: close", &url];
    let limit = Duration::from_secs(u64::from(seconds) + 15);
    let text = server::run(&site::program("wrk")?, &args, limit)?;
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let rate: f64 = rate.and_then(|rate| rate.trim().parse().ok()).context("failed to find wrk's rate")?;
    let failed = failures(&text);
    ensure!(failed <= rate * f64::from(seconds) / 1000.0, "{failed} exchanges failed: {text}");
    Ok(rate)
}

/// `Socket errors: connect 0, read 12, write 0, timeout 0` and `Non-2xx or 3xx responses: 3`.
fn failures(text: &str) -> f64 {
    let lines = text.lines().filter(|line| line.contains("Socket errors") || line.contains("Non-2xx"));
    let words = lines.filter_map(|line| line.split_once(':')).flat_map(|(_, rest)| rest.split([' ', ',']));
    words.filter_map(|word| word.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_added_up() {
        let text = "  Socket errors: connect 0, read 12, write 1, timeout 0\n  Non-2xx or 3xx responses: 3\n";
        assert_eq!(failures(text), 16.0);
        assert_eq!(failures("Requests/sec:  100.0\n"), 0.0);
    }
}
