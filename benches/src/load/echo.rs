//! A server that says everything back, on one thread for all its connections.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::Result;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

/// Events taken at once.
pub(crate) const BATCH: usize = 256;
const LISTENER: u64 = u64::MAX;

/// Starts an echo server on a free loopback port; it lives as long as the process.
///
/// # Errors
/// No port is free, or no epoll can be made.
pub fn start() -> Result<SocketAddr> {
    serve("echo", echo)
}

/// Starts a server on one thread: what comes is read and answered by `answer`, which
/// returns nothing when the connection has ended.
pub(super) fn serve(
    name: &str,
    answer: impl Fn(&mut TcpStream) -> Option<()> + Send + 'static,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // A burst of clients must not wait for a retransmitted SYN.
    rustix::net::listen(&listener, 4096)?;
    let address = listener.local_addr()?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    thread::Builder::new().name(name.into()).spawn(move || {
        let mut connections = BTreeMap::new();
        let mut events = Vec::with_capacity(BATCH);
        let mut next = 0;
        while let Ok(_) | Err(rustix::io::Errno::INTR) = epoll::wait(&poll, spare_capacity(&mut events), None)
        {
            for event in events.drain(..) {
                let id = event.data.u64();
                if id == LISTENER {
                    let Ok((stream, _)) = listener.accept() else { continue };
                    let data = epoll::EventData::new_u64(next);
                    let ready = stream.set_nodelay(true).is_ok()
                        && epoll::add(&poll, &stream, data, epoll::EventFlags::IN).is_ok();
                    if ready {
                        connections.insert(next, stream);
                        next += 1;
                    }
                } else if connections.get_mut(&id).is_some_and(|stream| answer(stream).is_none()) {
                    connections.remove(&id);
                }
            }
        }
    })?;
    Ok(address)
}

/// Level-triggered and blocking: the read that follows an event does not wait.
fn echo(stream: &mut TcpStream) -> Option<()> {
    let mut buffer = [0; 16 * 1024];
    let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
    stream.write_all(&buffer[..count]).ok()
}
