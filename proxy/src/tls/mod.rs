//! TLS on either side of a proxy: terminated, originated, or read and passed through.
//!
//! On the client's side the order is: socket, stream toxics (they break the network, so
//! they meet ciphertext), TLS, then HTTP or plain bytes. The rooms:
//!
//! - `spec`: what is asked for, and what of it cannot be
//! - `files`: certificates and keys from PEM files
//! - `ca`, `mint`: Sabot's own CA, and what it signs; `store`: that of a controller
//! - `terminate`: the server towards clients; `choice`: which certificate it shows
//! - `originate`: the client towards the upstream
//! - `hello`: the name in a `ClientHello`, without taking it off the socket
//! - `handshake`: a client's handshake, with the faults that hold it up
//! - `secured`: the client's side after it, with the faults of its end
//! - `serve`, `copy`: a plain connection under TLS
//!
//! What a fault does is decided in `sabot_toxics`; which bytes say it stands here.

mod ca;
mod choice;
mod copy;
mod files;
mod handshake;
mod hello;
mod mint;
mod originate;
mod secured;
mod serve;
mod spec;
mod store;
mod terminate;

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sabot_toxics::Invalid;

use crate::model::Protocol;
use crate::net::Address;

pub use ca::{Authority, CaError};
pub(crate) use handshake::{Refused, accept};
pub(crate) use hello::pass_through;
pub(crate) use originate::{Originator, Unsecured};
pub use rustls::ServerConfig;
pub(crate) use serve::serve;
pub use spec::{CertificateFiles, ClientAuth, Originate, Terminate, TlsSpec};
pub(crate) use store::Store;
pub(crate) use terminate::Terminator;
pub use terminate::{given, minted};

/// The first certificate in a PEM text, in DER.
#[must_use]
pub fn pem_to_der(pem: &str) -> Option<Vec<u8>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| der.to_vec())
}

/// The one source of cryptography.
pub(crate) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    &PROVIDER
}

/// The TLS of a proxy, its files read.
pub(crate) struct Tls {
    pub(crate) terminate: Option<Arc<Terminator>>,
    pub(crate) originate: Option<Arc<Originator>>,
    pub(crate) passthrough: bool,
}

impl Tls {
    /// Reads and checks everything that `spec` names.
    pub(crate) fn new(
        spec: &TlsSpec,
        protocol: Protocol,
        upstream: &str,
        store: &Arc<Store>,
    ) -> Result<Self, Invalid> {
        spec.validate(protocol, upstream)?;
        let terminate = spec.terminate.as_ref().map(|it| Terminator::new(it, protocol, store));
        let originate = spec.originate.as_ref().map(|it| Originator::new(it, store));
        Ok(Self {
            terminate: terminate.transpose()?.map(Arc::new),
            originate: originate.transpose()?.map(Arc::new),
            passthrough: spec.passthrough,
        })
    }
}

/// The TLS that a proxy has: another set of files may take its place while it runs.
pub(crate) struct Slot {
    pub(crate) spec: TlsSpec,
    current: Mutex<Arc<Tls>>,
}

impl Slot {
    pub(crate) fn new(spec: TlsSpec, tls: Arc<Tls>) -> Self {
        Self { spec, current: Mutex::new(tls) }
    }

    pub(crate) fn get(&self) -> Arc<Tls> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// New connections take this one.
    pub(crate) fn set(&self, tls: Arc<Tls>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = tls;
    }

    /// Tells where the proxy listens: clients that give no name are likely to use it.
    pub(crate) fn listens_on(&self, address: &Address) {
        if let Some(terminate) = &self.get().terminate {
            terminate.listens_on(address);
        }
    }
}
