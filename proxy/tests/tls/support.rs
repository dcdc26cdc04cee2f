//! Clients and proxies that speak TLS.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use sabot_proxy::{Controller, Protocol, ProxySpec, ProxyView};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::base::{connect, within};

pub(crate) type Secure = TlsStream<TcpStream>;

pub(crate) fn spec(name: &str, upstream: impl ToString, tls: Value) -> ProxySpec {
    ProxySpec { tls: Some(sabot_toxics::read(tls).unwrap()), ..ProxySpec::new(name, upstream.to_string()) }
}

/// A proxy `p` with that TLS.
pub(crate) async fn proxy(controller: &Controller, upstream: impl ToString, tls: Value) -> ProxyView {
    controller.create(spec("p", upstream, tls)).await.unwrap()
}

pub(crate) async fn http_proxy(controller: &Controller, upstream: impl ToString, tls: Value) -> ProxyView {
    let spec = ProxySpec { protocol: Protocol::Http, ..spec("h", upstream, tls) };
    controller.create(spec).await.unwrap()
}

/// A client that trusts the controller's CA.
pub(crate) fn trusting(controller: &Controller, alpn: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(controller.authority().unwrap().der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

pub(crate) async fn handshake(
    proxy: &ProxyView,
    config: ClientConfig,
    name: &'static str,
) -> std::io::Result<Secure> {
    let stream = connect(proxy).await;
    stream.set_nodelay(true).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    within(connector.connect(ServerName::try_from(name).unwrap(), stream)).await
}

/// A client of `p` that asks for `localhost`.
pub(crate) async fn secure(controller: &Controller, proxy: &ProxyView) -> std::io::Result<Secure> {
    handshake(proxy, trusting(controller, &[]), "localhost").await
}

/// Sends bytes and reads as many.
pub(crate) async fn ping(client: &mut Secure, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    within(async {
        client.write_all(bytes).await?;
        let mut back = vec![0; bytes.len()];
        client.read_exact(&mut back).await?;
        Ok(back)
    })
    .await
}
