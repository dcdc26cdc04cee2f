//! Bound sockets. A port is bound once and accepted from by every worker.
//!
//! [`Bound`] owns the port and knows no runtime; [`Bound::attach`] gives a worker
//! its own [`Listener`] on the same socket. Closing is one call that takes effect
//! before it returns, whatever the workers are doing.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::linux::fs::MetadataExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpStream, UnixStream};

use super::address::{Address, Host};
use super::pacing;
use super::stream::Stream;
use super::watch_readable;

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
    /// interfaces of both families. One that is in use is an error, whatever comes after it. A Unix socket file that nobody listens on is
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
                        // Who asks for localhost:80 and gets [::1]:80 beside somebody else's 127.0.0.1:80 does not
                        // see that clients pass by.
                        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
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
        let socket = watch_readable(self.socket.try_clone()?)?;
        let any = matches!(&self.local, Address::Tcp { host: Host::Ip(ip), .. } if ip.is_unspecified());
        Ok(Listener { socket, tcp: matches!(self.local, Address::Tcp { .. }), any })
    }

    /// Stops listening now, for every listener attached: connects are refused from
    /// here on, and each `accept` fails. The port can be bound again at once.
    pub(crate) fn close(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        if let Some(file) = &self.file {
            file.remove();
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.close();
    }
}

/// A worker's share of a [`Bound`].
#[derive(Debug)]
pub(crate) struct Listener {
    socket: AsyncFd<OwnedFd>,
    tcp: bool,
    /// It listens on all interfaces, so that each peer may or may not be on loopback.
    any: bool,
}

impl Listener {
    /// The next connection. Cancel safe.
    ///
    /// # Errors
    /// What `accept` says; `InvalidInput` once the [`Bound`] was closed.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`Self::accept`], to be polled.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(cx))?;
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let accepted = ready.try_io(|socket| Ok(acceptfrom_with(socket, flags)?));
            let Ok(accepted) = accepted else { continue };
            return Poll::Ready(accepted.map(|(socket, peer)| {
                let peer = peer.filter(|_| self.tcp).and_then(|peer| SocketAddr::try_from(peer).ok());
                if let Some(peer) = peer.filter(|_| self.any) {
                    pacing::spare_loopback(&socket, peer.ip());
                }
                Accepted { socket, peer, tcp: self.tcp }
            }));
        }
    }
}

/// A connection just accepted, not yet watched by any runtime: the worker that it
/// will live on takes it with [`Self::attach`]. A socket registered with one
/// worker and used on another would cost a wake-up across threads per message.
#[derive(Debug)]
pub(crate) struct Accepted {
    socket: OwnedFd,
    /// Who it is; none over a Unix socket.
    pub(crate) peer: Option<SocketAddr>,
    tcp: bool,
}

impl Accepted {
    /// The stream, watched by the runtime this is called in.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub(crate) fn attach(self) -> io::Result<Stream> {
        Ok(if self.tcp {
            Stream::Tcp(TcpStream::from_std(self.socket.into())?)
        } else {
            Stream::Unix(UnixStream::from_std(self.socket.into())?)
        })
    }

    /// Closes it with RST (a Unix socket has none and is just closed).
    pub(crate) fn reset(self) {
        if self.tcp {
            let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
        }
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
    // Accepted sockets inherit all three, which saves three calls a connection.
    pacing::spare_loopback(&socket, addr.ip());
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
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl SocketFile {
    fn remove(&self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and inode.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path)?;
    Ok((meta.st_dev(), meta.st_ino()))
}
