//! Small requests: redis-benchmark, GET, without pipelining.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{server, site};

const CLIENTS: &str = "50";
/// The key that redis-benchmark asks for when it is not told to draw keys.
pub(crate) const KEY: &str = "key:__rand_int__";
pub(crate) const VALUE: &str = "xxx";

/// Sets the key that the load asks for.
///
/// # Errors
/// Redis does not answer.
pub fn prepare(redis: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(redis)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "SET {KEY} {VALUE}\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"+OK\r\n", "redis refused the key");
    Ok(())
}

/// Requests a second when 50 clients send so many requests.
///
/// # Errors
/// redis-benchmark is missing, fails or hangs.
pub fn requests_per_s(to: SocketAddr, requests: u32) -> Result<f64> {
    let (host, port, count) = (to.ip().to_string(), to.port().to_string(), requests.to_string());
    let args = ["-h", &host, "-p", &port, "-c", CLIENTS, "-n", &count, "-t", "get", "-q", "--csv"];
    let text = server::run(&site::program("redis-benchmark")?, &args, Duration::from_secs(60))?;
    let rate = text.lines().last().and_then(|line| line.split(',').nth(1));
    let rate = rate.and_then(|rate| rate.trim_matches('"').parse().ok());
    rate.with_context(|| format!("failed to find the rate in {text:?}"))
}
