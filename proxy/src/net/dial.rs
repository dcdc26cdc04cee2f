//! From an upstream's address to a connected stream. Names are resolved at each
//! dial, so that a moved upstream is found without a restart.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sabot_toxics::Time;
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};

use super::address::{Address, Host};
use super::pacing;
use super::stream::Stream;
use super::timers::{Clock, Monotonic};

/// How long an address has before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to `address`, trying its addresses in the resolver's order
/// (RFC 6724) until one answers. There is no limit of time here: the caller puts
/// one around the whole. It must run on a worker. Cancel safe: dropped, it leaves nothing behind.
///
/// # Errors
/// What the last address tried said, or the resolver.
pub(crate) async fn dial(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
        Address::Tcp { host: Host::Ip(ip), port } => dial_tcp(SocketAddr::new(*ip, *port)).await,
        // Boxed: most upstreams need no resolver, and each connection has this future.
        Address::Tcp { host, port } => Box::pin(dial_any(host, *port)).await,
    }
}

async fn dial_any(host: &Host, port: u16) -> io::Result<Stream> {
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
    let addresses: Vec<SocketAddr> = match host {
        // `localhost` never leaves the machine; asking the resolver would cost a
        // trip to a thread of blocking calls on every connection.
        Host::Name(name) if !host.is_localhost() => lookup_host((name.as_str(), port)).await?.collect(),
        Host::Ip(ip) => vec![SocketAddr::new(*ip, port)],
        _ => loopback.map(|ip| SocketAddr::new(ip, port)).to_vec(),
    };
    race(addresses).await
}

/// Dials one address after the other and takes the first that answers. The next
/// one starts when one has failed, or after [`HEAD_START`]: an address that
/// swallows packets must not use up the whole limit of time (RFC 8305).
async fn race(addresses: Vec<SocketAddr>) -> io::Result<Stream> {
    let mut waiting = addresses.into_iter();
    let mut dialling: Vec<Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>> = Vec::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut clock = Monotonic::default();
    let mut head_start = Time::ZERO;
    let mut start_next = true;
    poll_fn(|cx| {
        loop {
            if std::mem::take(&mut start_next)
                && let Some(addr) = waiting.next()
            {
                dialling.push(Box::pin(dial_tcp(addr)));
                head_start = clock.now() + HEAD_START;
            }
            let mut index = 0;
            while let Some(dial) = dialling.get_mut(index) {
                match dial.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        drop(dialling.remove(index));
                        last = error;
                        start_next = true;
                    }
                }
            }
            if waiting.len() == 0 {
                start_next = false;
                if dialling.is_empty() {
                    return Poll::Ready(Err(std::mem::replace(&mut last, io::ErrorKind::Other.into())));
                }
                return Poll::Pending;
            }
            start_next |= clock.poll_until(cx, head_start).is_ready();
            if !start_next {
                return Poll::Pending;
            }
        }
    })
    .await
}

async fn dial_tcp(addr: SocketAddr) -> io::Result<Stream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    pacing::spare_loopback(&socket, addr.ip());
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    let stream: TcpStream = socket.connect(addr).await?;
    Ok(Stream::Tcp(stream))
}
