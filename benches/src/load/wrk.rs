//! HTTP/1.1: wrk, one thread, 64 clients.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{server, site};

const CLIENTS: &str = "64";

/// What was answered.
pub struct Answers {
    /// How many requests.
    pub requests: f64,
    /// How many in a second.
    pub per_s: f64,
    /// One in a hundred takes longer.
    pub p99_us: f64,
}

/// Requests over connections that stay, each when the one before was answered.
///
/// # Errors
/// wrk is missing, fails or hangs, or an exchange fails or has another status than 2xx.
pub fn keep_alive(url: &str, seconds: u32) -> Result<Answers> {
    let text = run(url, seconds, &["--latency"])?;
    ensure!(failures(&text) == 0.0, "exchanges failed: {text}");
    let requests = text.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok());
    let p99 = text.lines().find_map(|line| line.trim().strip_prefix("99%").and_then(micros));
    let requests = requests.context("failed to find wrk's requests")?;
    let p99_us = p99.context("failed to find wrk's latency")?;
    Ok(Answers { requests, per_s: rate(&text)?, p99_us })
}

/// Runs wrk with further arguments; returns what it says.
pub(super) fn run(url: &str, seconds: u32, further: &[&str]) -> Result<String> {
    let time = format!("{seconds}s");
    let mut args = vec!["-t", "1", "-c", CLIENTS, "-d", &time];
    args.extend(further);
    args.push(url);
    server::run(&site::program("wrk")?, &args, Duration::from_secs(u64::from(seconds) + 15))
}

/// Requests a second.
pub(super) fn rate(text: &str) -> Result<f64> {
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok()).context("failed to find wrk's rate")
}

/// `Socket errors: connect 0, read 12, write 0, timeout 0` and `Non-2xx or 3xx responses: 3`.
pub(super) fn failures(text: &str) -> f64 {
    let lines = text.lines().filter(|line| line.contains("Socket errors") || line.contains("Non-2xx"));
    let words = lines.filter_map(|line| line.split_once(':')).flat_map(|(_, rest)| rest.split([' ', ',']));
    words.filter_map(|word| word.parse::<f64>().ok()).sum()
}

/// wrk picks the unit: `812.00us`, `1.52ms`, `1.02s`.
fn micros(text: &str) -> Option<f64> {
    let text = text.trim();
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let (number, scale) = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    number.parse::<f64>().ok().map(|number| number * scale)
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

    #[test]
    fn latencies_have_units() {
        assert_eq!(["812.00us", " 1.50ms", "2.00s"].map(micros), [Some(812.0), Some(1500.0), Some(2e6)]);
        assert_eq!(micros("nan"), None);
    }
}
