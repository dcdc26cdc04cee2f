//! Ping-pong: one connection, one small message under way.
//!
//! The player looks for the answer all the time instead of sleeping: on a virtual
//! machine a core that was halted takes 20 to 50 µs to come back, which would be
//! added to every figure.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::statistics::percentile;

const MESSAGE: usize = 64;
const WARM_UP: usize = 200;
/// A round trip that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Round trips in µs.
pub struct RoundTrips {
    /// The middle.
    pub p50: f64,
    /// One in a hundred takes longer.
    pub p99: f64,
}

/// Plays against an echo server for so long.
///
/// # Errors
/// The connection fails or a message does not come back.
pub fn play(echo: SocketAddr, time: Duration) -> Result<RoundTrips> {
    let mut stream = connect(echo)?;
    stream.set_nonblocking(true)?;
    for _ in 0..WARM_UP {
        watchful_round_trip(&mut stream)?;
    }
    let (start, mut samples) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        samples.push(watchful_round_trip(&mut stream)?.as_secs_f64() * 1e6);
    }
    Ok(RoundTrips { p50: percentile(&samples, 0.5), p99: percentile(&samples, 0.99) })
}

/// A connection that sends at once and does not wait forever.
///
/// # Errors
/// Nobody listens.
pub fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream =
        TcpStream::connect_timeout(&to, PATIENCE).with_context(|| format!("failed to connect to {to}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One message there and back.
///
/// # Errors
/// It does not come back.
pub fn round_trip(stream: &mut TcpStream) -> Result<Duration> {
    let mut message = [7; MESSAGE];
    let start = Instant::now();
    stream.write_all(&message)?;
    stream.read_exact(&mut message).context("failed to read the echo")?;
    Ok(start.elapsed())
}

/// On a stream that does not block.
fn watchful_round_trip(stream: &mut TcpStream) -> Result<Duration> {
    let mut message = [7; MESSAGE];
    let start = Instant::now();
    stream.write_all(&message)?;
    let mut come = 0;
    while come < MESSAGE {
        match stream.read(&mut message[come..]) {
            Ok(0) => bail!("the connection was closed"),
            Ok(count) => come += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                ensure!(start.elapsed() < PATIENCE, "an answer did not come");
            }
            Err(error) => return Err(error).context("failed to read the echo"),
        }
    }
    Ok(start.elapsed())
}
