//! HTTP/1.1 for measurements of faults: a server that answers every request alike, and a client
//! that asks one request after the other on one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};

use super::{echo, ping};

/// A request. Neither it nor the answer has a body to wait for.
pub(super) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// The head of an answer, whatever a proxy adds to it.
pub(super) const HEAD: usize = 1024;

/// Starts a server on a free loopback port; it lives as long as the process.
///
/// # Errors
/// No port is free, or no epoll can be made.
pub fn start() -> Result<SocketAddr> {
    echo::serve("web", |stream| {
        let mut buffer = [0; 16 * 1024];
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        // Small requests that are sent at once come at once.
        let requests = buffer[..count].windows(4).filter(|bytes| bytes == b"\r\n\r\n").count();
        stream.write_all(&ANSWER.repeat(requests)).ok()
    })
}

/// Sends so many requests, one after the other; returns their statuses.
///
/// # Errors
/// The connection ends, or an answer is none.
pub fn statuses(to: SocketAddr, count: u32) -> Result<Vec<u16>> {
    let mut stream = ping::connect(to)?;
    let one = |_| {
        stream.write_all(REQUEST)?;
        answer(&mut stream)
    };
    (0..count).map(one).collect()
}

/// The status of the answer that comes next.
pub(super) fn answer(stream: &mut TcpStream) -> Result<u16> {
    let (mut head, mut read) = ([0; HEAD], 0);
    loop {
        let more = stream.read(&mut head[read..])?;
        ensure!(more > 0, "the connection was closed");
        read += more;
        if let Some(status) = status(&head[..read])? {
            return Ok(status);
        }
    }
}

/// The status of an answer without a body, if its head is whole.
pub(super) fn status(head: &[u8]) -> Result<Option<u16>> {
    if !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < HEAD, "the head of an answer is too long");
        return Ok(None);
    }
    let head = std::str::from_utf8(head)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.map(Some).with_context(|| format!("failed to understand {head:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_answered() {
        assert_eq!(statuses(start().unwrap(), 3).unwrap(), [200; 3]);
    }
}
