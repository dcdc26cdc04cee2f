//! The TLS server towards clients.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::{ServerConfig, SupportedProtocolVersion};
use sabot_toxics::tls::TlsPlan;
use sabot_toxics::{Invalid, TlsVersion};

use super::ca::Authority;
use super::choice::{Certificates, Minter, Only};
use super::spec::{ClientAuth, Terminate};
use super::store::Store;
use super::{files, provider};
use crate::model::Protocol;
use crate::net::Address;
use crate::net::address::Host;

/// What an HTTP proxy speaks, the preferred one first.
const HTTP: [&str; 2] = ["h2", "http/1.1"];

/// A TLS server, its files read.
pub(crate) struct Terminator {
    certificates: Arc<Certificates>,
    /// For certificates with something wrong: those are always minted.
    minter: Minter,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    alpn: Vec<Vec<u8>>,
    min: TlsVersion,
    max: TlsVersion,
    /// For connections that no fault has changed. It alone remembers sessions.
    usual: Arc<ServerConfig>,
}

impl Terminator {
    pub(super) fn new(spec: &Terminate, protocol: Protocol, store: &Arc<Store>) -> Result<Self, Invalid> {
        let within = |error: Invalid| error.within("terminate");
        let minter = Minter::new(store);
        let certificates = match &spec.certificates {
            Some(pairs) => {
                let read = |(index, pair): (usize, &super::CertificateFiles)| {
                    files::certified(("cert", &pair.cert), ("key", &pair.key))
                        .map(Arc::new)
                        .map_err(|error| error.within(&format!("certificates[{index}]")))
                };
                Certificates::Given(
                    pairs.iter().enumerate().map(read).collect::<Result<_, _>>().map_err(within)?,
                )
            }
            None => {
                store.get().map_err(|error| Invalid::new("terminate", error.to_string()))?;
                Certificates::Minted(minter.clone())
            }
        };
        let certificates = Arc::new(certificates);
        let verifier = spec.client_ca.as_deref().map(|path| verifier(path, spec.client_auth)).transpose();
        let verifier = verifier.map_err(within)?;
        let alpn = match (&spec.alpn, protocol) {
            (Some(names), _) => names.iter().map(|name| name.clone().into_bytes()).collect(),
            (None, Protocol::Http) => HTTP.map(|name| name.as_bytes().to_vec()).to_vec(),
            (None, Protocol::Tcp) => Vec::new(),
        };
        let (min, max) =
            (spec.min_version.unwrap_or(TlsVersion::Tls12), spec.max_version.unwrap_or(TlsVersion::Tls13));
        let shown: Arc<dyn ResolvesServerCert> = Arc::clone(&certificates) as _;
        let usual = build(&versions(min, max), verifier.as_ref(), &alpn, shown)
            .map_err(|error| within(unusable(&error)))?;
        Ok(Self { certificates, minter, verifier, alpn, min, max, usual })
    }

    pub(super) fn listens_on(&self, address: &Address) {
        self.minter.listens_on(address);
    }

    /// The settings for one connection: `name` is what the client asks for.
    pub(super) fn config(
        &self,
        name: Option<&str>,
        plan: &TlsPlan,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        if plan.certificate.is_none() && plan.only.is_none() {
            return Ok(Arc::clone(&self.usual));
        }
        let shown: Arc<dyn ResolvesServerCert> = match plan.certificate {
            Some(problem) => {
                let certified = self.minter.certified(name, Some(problem));
                Arc::new(Only(certified.ok_or_else(|| rustls::Error::General("no certificate".to_owned()))?))
            }
            None => Arc::clone(&self.certificates) as _,
        };
        // One version alone, also where the settings exclude it: that is the fault.
        let (min, max) = plan.only.map_or((self.min, self.max), |only| (only, only));
        build(&versions(min, max), self.verifier.as_ref(), &self.alpn, shown)
    }
}

/// A TLS server for the API, with a certificate and its key from PEM files.
///
/// # Errors
/// A file cannot be used; the field is `api_tls_cert` or `api_tls_key`.
pub fn given((cert, key): (&Path, &Path)) -> Result<Arc<ServerConfig>, Invalid> {
    let certified = files::certified(("api_tls_cert", cert), ("api_tls_key", key))?;
    api(Certificates::Given(vec![Arc::new(certified)]))
}

/// A TLS server for the API that `authority` signs for, whatever name is asked for;
/// `local` is where it listens.
///
/// # Errors
/// TLS cannot be used at all.
pub fn minted(authority: Arc<Authority>, local: IpAddr) -> Result<Arc<ServerConfig>, Invalid> {
    let minter = Minter::new(&Arc::new(Store::with(authority)));
    minter.listens_on(&Address::Tcp { host: Host::Ip(local), port: 0 });
    api(Certificates::Minted(minter))
}

fn api(certificates: Certificates) -> Result<Arc<ServerConfig>, Invalid> {
    let versions = versions(TlsVersion::Tls12, TlsVersion::Tls13);
    let alpn = [b"http/1.1".to_vec()];
    build(&versions, None, &alpn, Arc::new(certificates)).map_err(|error| unusable(&error))
}

fn build(
    versions: &[&'static SupportedProtocolVersion],
    verifier: Option<&Arc<dyn ClientCertVerifier>>,
    alpn: &[Vec<u8>],
    shown: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(provider())).with_protocol_versions(versions)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(shown);
    config.alpn_protocols = alpn.to_vec();
    Ok(Arc::new(config))
}

fn verifier(path: &Path, auth: Option<ClientAuth>) -> Result<Arc<dyn ClientCertVerifier>, Invalid> {
    let roots = files::shared_roots("client_ca", path)?;
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider()));
    let builder = match auth {
        Some(ClientAuth::Optional) => builder.allow_unauthenticated(),
        Some(ClientAuth::Required) | None => builder,
    };
    builder
        .build()
        .map_err(|error| Invalid::new("client_ca", format!("{} cannot be used: {error}", path.display())))
}

fn versions(min: TlsVersion, max: TlsVersion) -> Vec<&'static SupportedProtocolVersion> {
    let all = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)];
    all.into_iter().filter(|(version, _)| (min..=max).contains(version)).map(|(_, known)| known).collect()
}

fn unusable(error: &rustls::Error) -> Invalid {
    Invalid::new("", format!("cannot be used: {error}"))
}
