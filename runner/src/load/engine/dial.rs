//! New connections: name, TCP, TLS.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::cause::{Cause, cause};
use super::wire::{Marks, Stream, Wire};
use crate::load::target::Target;

/// Why there is no connection. A load counts the reasons, it does not log each of 20,000 a second.
#[derive(Clone, Debug)]
pub(crate) struct NoConnection(pub Cause);

impl NoConnection {
    pub(crate) fn because(why: impl Display) -> Self {
        Self(cause(&why.to_string()))
    }
}

/// A connection to `target`, with TLS if `tls` is given. Its time is limited by the pool.
pub(crate) async fn dial(target: &Target, tls: Option<&Arc<ClientConfig>>) -> Result<Stream, NoConnection> {
    let tcp = connect(&target.host, target.port).await?;
    // A request is written as one; waiting for more only adds latency.
    let _ = tcp.set_nodelay(true);
    let wire = Wire { tcp, marks: Rc::new(Marks::default()) };
    let Some(config) = tls else { return Ok(Stream::Plain(wire)) };
    let name = ServerName::try_from(target.host.clone()).map_err(|_| {
        NoConnection::because(format_args!("TLS: `{}` is no name that a certificate could have", target.host))
    })?;
    let tls = TlsConnector::from(Arc::clone(config)).connect(name, wire).await;
    Ok(Stream::Tls(Box::new(tls.map_err(|error| untrusted(&target.authority, &error))?)))
}

fn untrusted(authority: &str, error: &io::Error) -> NoConnection {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let help = match inner {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            " (`tls.roots` names CAs to believe, `tls.insecure` believes anybody)"
        }
        _ => "",
    };
    NoConnection::because(format_args!("TLS with {authority}: {error}{help}"))
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, NoConnection> {
    if let Ok(ip) = host.parse() {
        let address = SocketAddr::new(ip, port);
        return TcpStream::connect(address).await.map_err(|error| unreachable(address, &error));
    }
    let mut why = NoConnection::because(format_args!("the name {host} has no address"));
    let addresses = lookup_host((host, port)).await;
    for address in addresses.map_err(|error| NoConnection::because(format_args!("{host}: {error}")))? {
        match TcpStream::connect(address).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => why = unreachable(address, &error),
        }
    }
    Err(why)
}

fn unreachable(address: SocketAddr, error: &io::Error) -> NoConnection {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => NoConnection::because(format_args!("{address} refused it")),
        _ => NoConnection::because(format_args!("{address}: {error}")),
    }
}
