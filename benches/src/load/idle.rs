//! Many connections that have spoken once and then say nothing.

use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result};

use super::ping;

/// Opens so many connections to an echo server, one message on each. They
/// close when dropped.
///
/// # Errors
/// One cannot be opened, or does not answer.
pub fn open(echo: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    let one = |number| {
        let mut stream = ping::connect(echo)?;
        ping::round_trip(&mut stream).with_context(|| format!("failed at connection {number}"))?;
        Ok(stream)
    };
    (1..=count).map(one).collect()
}
