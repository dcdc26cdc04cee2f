//! The TLS client towards the upstream.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sabot_toxics::Invalid;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::spec::Originate;
use super::store::Store;
use super::{files, provider};
use crate::net::address::Host;
use crate::net::{Address, Stream, dial};

/// A TLS client, its files read.
pub(crate) struct Originator {
    server_name: Option<ServerName<'static>>,
    alpn: Option<Vec<String>>,
    trust: Trust,
    identity: Option<Arc<CertifiedKey>>,
    store: Arc<Store>,
    built: Mutex<Built>,
}

/// Whom to believe.
enum Trust {
    /// The system's roots, and Sabot's own CA.
    Usual(RootCertStore),
    Given(Arc<RootCertStore>),
    Anybody,
}

/// One configuration for each ALPN that was asked for: sessions are resumed within one.
struct Built {
    /// Whether Sabot's CA is among the roots: it may be made later.
    own_ca: bool,
    base: Arc<ClientConfig>,
    /// A handful at most: what Sabot's own code asks for.
    by_alpn: Vec<(&'static str, Arc<ClientConfig>)>,
}

impl Originator {
    pub(super) fn new(spec: &Originate, store: &Arc<Store>) -> Result<Self, Invalid> {
        let read = || {
            let server_name = spec.server_name.clone().map(|name| {
                let refuse =
                    || Invalid::new("server_name", format!("`{name}` is neither a host name nor an address"));
                ServerName::try_from(name.clone()).map_err(|_| refuse())
            });
            let trust = match &spec.ca {
                _ if spec.insecure => Trust::Anybody,
                Some(path) => Trust::Given(files::shared_roots("ca", path)?),
                None => Trust::Usual(system_roots()),
            };
            let identity = match (&spec.cert, &spec.key) {
                (Some(cert), Some(key)) => Some(Arc::new(files::certified(("cert", cert), ("key", key))?)),
                _ => None,
            };
            let built = build(&trust, identity.as_ref(), store)?;
            let (store, built) = (Arc::clone(store), Mutex::new(built));
            Ok(Self {
                server_name: server_name.transpose()?,
                alpn: spec.alpn.clone(),
                trust,
                identity,
                store,
                built,
            })
        };
        if spec.insecure {
            tracing::warn!("an upstream's certificate is not checked, as `insecure` says");
        }
        read().map_err(|error: Invalid| error.within("originate"))
    }

    /// Connects to `address`. `speaks` is the protocol that follows, if it has a name for
    /// ALPN. There is no limit of time here, as with [`dial`].
    pub(crate) async fn dial(
        &self,
        address: &Address,
        speaks: Option<&'static str>,
    ) -> Result<TlsStream<Stream>, Unsecured> {
        let stream = dial(address).await.map_err(Unsecured::Dial)?;
        let (name, config) = match (self.name(address), self.config(speaks)) {
            (Ok(name), Ok(config)) => (name, config),
            (Err(error), _) => return Err(Unsecured::Tls(error)),
            (_, Err(error)) => return Err(Unsecured::Tls(io::Error::other(error.to_string()))),
        };
        TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| Unsecured::Tls(explained(error)))
    }

    fn name(&self, address: &Address) -> io::Result<ServerName<'static>> {
        if let Some(name) = &self.server_name {
            return Ok(name.clone());
        }
        match address {
            Address::Tcp { host: Host::Ip(ip), .. } => Ok(ServerName::from(*ip)),
            Address::Tcp { host: Host::Name(name), .. } => {
                let name = name.trim_end_matches('.').to_owned();
                ServerName::try_from(name).map_err(io::Error::other)
            }
            _ => ServerName::try_from("localhost").map_err(io::Error::other),
        }
    }

    fn config(&self, speaks: Option<&'static str>) -> Result<Arc<ClientConfig>, Invalid> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if !built.own_ca && matches!(self.trust, Trust::Usual(_)) && self.store.opened().is_some() {
            *built = build(&self.trust, self.identity.as_ref(), &self.store)?;
        }
        let key = speaks.unwrap_or_default();
        if let Some((_, config)) = built.by_alpn.iter().find(|(known, _)| *known == key) {
            return Ok(Arc::clone(config));
        }
        let mut config = ClientConfig::clone(&built.base);
        config.alpn_protocols = match (speaks, &self.alpn) {
            (Some(speaks), Some(allowed)) if !allowed.iter().any(|name| name == speaks) => Vec::new(),
            (Some(speaks), _) => vec![speaks.as_bytes().to_vec()],
            (None, Some(given)) => given.iter().map(|name| name.clone().into_bytes()).collect(),
            (None, None) => Vec::new(),
        };
        let config = Arc::new(config);
        built.by_alpn.push((key, Arc::clone(&config)));
        Ok(config)
    }
}

fn build(trust: &Trust, identity: Option<&Arc<CertifiedKey>>, store: &Store) -> Result<Built, Invalid> {
    let unusable = |error: rustls::Error| Invalid::new("", format!("cannot be used: {error}"));
    let mut own_ca = false;
    let roots = match trust {
        Trust::Usual(system) => {
            let mut roots = system.clone();
            match store.existing() {
                Ok(Some(authority)) => own_ca = roots.add(authority.der().clone()).is_ok(),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "Sabot's own CA is not trusted"),
            }
            Arc::new(roots)
        }
        Trust::Given(roots) => Arc::clone(roots),
        Trust::Anybody => Arc::new(RootCertStore::empty()),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(certified) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(certified))))
        }
        None => builder.with_no_client_auth(),
    };
    if matches!(trust, Trust::Anybody) {
        config.dangerous().set_certificate_verifier(Arc::new(Anybody));
    }
    Ok(Built { own_ca, base: Arc::new(config), by_alpn: Vec::new() })
}

/// Says what to do where rustls names a rule that most have never met.
fn explained(error: io::Error) -> io::Error {
    let text = error.to_string();
    if !text.contains("CaUsedAsEndEntity") {
        return error;
    }
    let remedy =
        "the upstream shows the certificate of a CA as its own: make it with basicConstraints=CA:FALSE";
    io::Error::new(error.kind(), format!("{text}; {remedy}"))
}

fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a part of the system's roots cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (_, skipped) = roots.add_parsable_certificates(found.certs);
    if skipped > 0 {
        tracing::debug!(skipped, "some of the system's roots cannot be used");
    }
    roots
}

/// Why there is no connection under TLS.
pub(crate) enum Unsecured {
    /// The dial failed.
    Dial(io::Error),
    /// The handshake failed.
    Tls(io::Error),
}

/// The upstream's side, under TLS or not.
pub(crate) enum FarIo {
    Plain(Stream),
    Tls(Box<TlsStream<Stream>>),
}

impl FarIo {
    /// Closes with RST.
    pub(super) fn reset(self) {
        match self {
            Self::Plain(stream) => stream.reset(),
            Self::Tls(tls) => tls.into_inner().0.reset(),
        }
    }

    /// Sends a FIN, and no `close_notify` before it.
    pub(super) fn shutdown_bare(&mut self) {
        match self {
            Self::Plain(stream) => stream.shutdown_write(),
            Self::Tls(tls) => tls.get_ref().0.shutdown_write(),
        }
    }
}

impl AsyncRead for FarIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => stream.poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for FarIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => stream.poll_write(cx, data),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => {
                stream.shutdown_write();
                Poll::Ready(Ok(()))
            }
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}

/// Believes whatever it is shown, but not that it is the one who shows it without its key.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
