//! HTTP/2 without TLS, by prior knowledge: h2load, 16 connections with 16 requests
//! at once on each.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::grpc;
use crate::{server, site};

const CONNECTIONS: &str = "16";
const STREAMS: &str = "16";

/// What was answered.
pub struct Answers {
    /// How many requests.
    pub requests: f64,
    /// How many in a second.
    pub per_s: f64,
}

/// Requests without a body.
///
/// # Errors
/// h2load is missing, fails or hangs, or a request fails or has another status than 2xx.
pub fn get(to: SocketAddr, seconds: u32) -> Result<Answers> {
    run(&format!("http://{to}/"), seconds, &[])
}

/// Unary calls of gRPC. That status 200 is no success yet there has to be seen at
/// the server: see [`grpc::Server::answered`].
///
/// # Errors
/// As with [`get`].
pub fn call(to: SocketAddr, seconds: u32) -> Result<Answers> {
    let message = tempfile::NamedTempFile::new()?;
    fs::write(message.path(), grpc::message())?;
    let file = message.path().display().to_string();
    let further = ["-d", &file, "-H", "content-type: application/grpc", "-H", "te: trailers"];
    run(&format!("http://{to}{}", grpc::PATH), seconds, &further)
}

fn run(url: &str, seconds: u32, further: &[&str]) -> Result<Answers> {
    let time = seconds.to_string();
    let mut args = vec!["-c", CONNECTIONS, "-m", STREAMS, "-D", &time];
    args.extend(further);
    args.push(url);
    let limit = Duration::from_secs(u64::from(seconds) + 15);
    let text = server::run(&site::program("h2load")?, &args, limit)?;
    answers(&text).with_context(|| format!("failed to understand h2load: {text}"))
}

/// ```text
/// finished in 2.00s, 31000.50 req/s, 1.21MB/s
/// requests: 62001 total, 62257 started, 62001 done, 62001 succeeded, 0 failed, 0 errored, 0 timeout
/// status codes: 62001 2xx, 0 3xx, 0 4xx, 0 5xx
/// ```
fn answers(text: &str) -> Result<Answers> {
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let count = |line: Option<&str>, word: &str| -> Result<f64> {
        let parts = line.into_iter().flat_map(|line| line.split(','));
        let found = parts.filter_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok()).next();
        found.with_context(|| format!("no number of {word:?}"))
    };
    let (requests, codes) = (line("requests:"), line("status codes:"));
    for failure in ["failed", "errored", "timeout"] {
        ensure!(count(requests, failure)? == 0.0, "requests failed");
    }
    // More heads than answers may have come when the time was over, so 2xx are not counted.
    for class in ["3xx", "4xx", "5xx"] {
        ensure!(count(codes, class)? == 0.0, "not all answers are 2xx");
    }
    let good = count(requests, "succeeded")?;
    ensure!(good > 0.0, "nothing was answered");
    Ok(Answers { requests: good, per_s: count(line("finished in"), "req/s")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(failed: u32, refused: u32) -> String {
        format!(
            "finished in 2.00s, 31000.50 req/s, 1.21MB/s\n\
             requests: 9 total, 12 started, 9 done, 9 succeeded, {failed} failed, 0 errored, 0 timeout\n\
             status codes: 10 2xx, 0 3xx, 0 4xx, {refused} 5xx\n"
        )
    }

    #[test]
    fn the_rate_and_the_count_are_found() {
        let found = answers(&output(0, 0)).unwrap();
        assert_eq!((found.requests, found.per_s), (9.0, 31000.5));
    }

    #[test]
    fn any_failure_is_one() {
        assert!(answers(&output(1, 0)).is_err());
        assert!(answers(&output(0, 1)).is_err());
        assert!(answers("h2load: nothing\n").is_err());
    }
}
