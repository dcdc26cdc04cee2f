//! From an upstream's address to a connected stream. Names are resolved at each
//! dial, so that a moved upstream is found without a restart.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};

use super::address::{Address, Host};
use super::stream::Stream;

/// Connects to `address`, trying each of its addresses in the resolver's order
/// (RFC 6724) until one answers. There is no limit of time here: the caller puts
/// one around the whole. Cancel safe: dropped, it leaves nothing behind.
///
/// # Errors
/// What the last address tried said, or the resolver.
pub(crate) async fn dial(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
        Address::Tcp { host: Host::Ip(ip), port } => dial_tcp(SocketAddr::new(*ip, *port)).await,
        Address::Tcp { host, port } => dial_any(host, *port).await,
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
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in addresses {
        match dial_tcp(addr).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn dial_tcp(addr: SocketAddr) -> io::Result<Stream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    let stream: TcpStream = socket.connect(addr).await?;
    Ok(Stream::Tcp(stream))
}
