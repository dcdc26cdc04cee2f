//! New connections: name, TCP, TLS.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::wire::{Marks, Stream, Wire};
use crate::load::target::Target;

/// Why there is no connection. What exactly was wrong is told by the system under test's own side;
/// a load counts, it does not log each of 20,000 a second.
#[derive(Debug)]
pub(crate) struct NoConnection;

/// A connection to `target`, with TLS if `tls` is given. Its time is limited by the pool.
pub(crate) async fn dial(target: &Target, tls: Option<&Arc<ClientConfig>>) -> Result<Stream, NoConnection> {
    let tcp = connect(&target.host, target.port).await?;
    // A request is written as one; waiting for more only adds latency.
    let _ = tcp.set_nodelay(true);
    let wire = Wire { tcp, marks: Rc::new(Marks::default()) };
    let Some(config) = tls else { return Ok(Stream::Plain(wire)) };
    let name = ServerName::try_from(target.host.clone()).map_err(|_| NoConnection)?;
    let tls = TlsConnector::from(Arc::clone(config)).connect(name, wire).await;
    Ok(Stream::Tls(Box::new(tls.map_err(|_| NoConnection)?)))
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, NoConnection> {
    if let Ok(ip) = host.parse() {
        return TcpStream::connect(SocketAddr::new(ip, port)).await.map_err(|_| NoConnection);
    }
    for address in lookup_host((host, port)).await.map_err(|_| NoConnection)? {
        if let Ok(tcp) = TcpStream::connect(address).await {
            return Ok(tcp);
        }
    }
    Err(NoConnection)
}
