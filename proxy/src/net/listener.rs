//! Bound sockets. A port is bound once and accepted from by every worker.
//!
//! [`Bound`] owns the port and knows no runtime; [`Bound::attach`] gives a worker
//! its own [`Listener`] on the same socket. Closing is one call that takes effect
//! before it returns, whatever the workers are doing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::address::{Address, Host};
use super::stream::Stream;

/// Connections that may wait to be accepted; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;

/// A bound, listening socket.
#[derive(Debug)]
pub(crate) struct Bound {
    socket: OwnedFd,
    local: Address,
    /// The socket's file, removed when the listener goes.
    file: Option<SocketFile>,
}

impl Bound {
    /// Binds and listens. Names are resolved, IPv4 first; no host means all
    /// interfaces of both families. A Unix socket file that nobody listens on is
    /// replaced, a live one refused.
    ///
    /// # Errors
    /// What the system says about the last address tried.
    pub(crate) async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => bind_unix(path),
            Address::Tcp { host, port } => {
                let mut last = None;
                for addr in candidates(host, *port).await? {
                    match bind_tcp(addr) {
                        Ok(bound) => return Ok(bound),
                        Err(error) => last = Some(error),
                    }
                }
                Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
            }
        }
    }

    /// The resolved address with the port that was given.
    pub(crate) fn local(&self) -> &Address {
        &self.local
    }

    /// A listener for the runtime this is called in.
    ///
    /// # Errors
    /// No descriptor left, or no runtime.
    pub(crate) fn attach(&self) -> io::Result<Listener> {
        let socket = self.socket.try_clone()?;
        match &self.local {
            Address::Tcp { .. } => Ok(Listener::Tcp(TcpListener::from_std(socket.into())?)),
            Address::Unix(_) => Ok(Listener::Unix(UnixListener::from_std(socket.into())?)),
        }
    }

    /// Stops listening now, for every listener attached: connects are refused from
    /// here on, and each `accept` fails. The port can be bound again at once.
    pub(crate) fn close(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.close();
    }
}

/// A worker's share of a [`Bound`].
#[derive(Debug)]
pub(crate) enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix stream socket.
    Unix(UnixListener),
}

impl Listener {
    /// The next connection and, over TCP, who it is. Cancel safe.
    ///
    /// # Errors
    /// What `accept` says; `InvalidInput` once the [`Bound`] was closed.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`Self::accept`], to be polled.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<SocketAddr>)>> {
        Poll::Ready(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(cx))?;
                Ok((Stream::Tcp(stream), Some(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Ok((Stream::Unix(stream), None))
            }
        })
    }
}

async fn candidates(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    let v4 = |ip: Ipv4Addr| SocketAddr::new(IpAddr::V4(ip), port);
    let v6 = |ip: Ipv6Addr| SocketAddr::new(IpAddr::V6(ip), port);
    Ok(match host {
        Host::Any => vec![v6(Ipv6Addr::UNSPECIFIED), v4(Ipv4Addr::UNSPECIFIED)],
        Host::Ip(ip) => vec![SocketAddr::new(*ip, port)],
        _ if host.is_localhost() => vec![v4(Ipv4Addr::LOCALHOST), v6(Ipv6Addr::LOCALHOST)],
        Host::Name(name) => {
            let mut found: Vec<_> = tokio::net::lookup_host((name.as_str(), port)).await?.collect();
            found.sort_by_key(SocketAddr::is_ipv6);
            found
        }
    })
}

fn bind_tcp(addr: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        // `[::]` means all interfaces of both families; any other address is IPv6 anyway.
        socket.set_only_v6(!addr.ip().is_unspecified())?;
    }
    // Accepted sockets inherit both, which saves two calls a connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    let local = socket.local_addr()?.as_socket().unwrap_or(addr).into();
    Ok(Bound { socket: socket.into(), local, file: None })
}

fn bind_unix(path: &Path) -> io::Result<Bound> {
    let address = SockAddr::unix(path)?;
    remove_stale(path, &address)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&address)?;
    socket.listen(BACKLOG)?;
    let file = SocketFile::of(path)?;
    Ok(Bound { socket: socket.into(), local: Address::Unix(path.to_owned()), file: Some(file) })
}

/// Removes a socket file whose listener is gone. Anything else at `path` is left
/// alone, and binding says that the address is in use.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {}
        _ => return Ok(()),
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

/// The file of a Unix socket, told apart from one that another process has put in
/// its place since.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = std::fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), identity: (meta.st_dev(), meta.st_ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::of(&self.path).is_ok_and(|now| now.identity == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
