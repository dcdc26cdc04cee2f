//! Which certificate a client is shown: by the name that it asks for.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sabot_toxics::tls::Problem;

use super::mint::canonical;
use super::store::Store;
use crate::net::Address;
use crate::net::address::Host;

/// What a client that gives no name may have typed.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Where certificates come from.
pub(super) enum Certificates {
    /// These, the first one unless another fits the name.
    Given(Vec<Arc<CertifiedKey>>),
    /// Sabot's CA.
    Minted(Minter),
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self {
            Self::Given(all) => {
                let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
                let fits = |certified: &&Arc<CertifiedKey>| {
                    name.as_ref().is_some_and(|name| is_for(certified, name))
                };
                all.iter().find(fits).or(all.first()).cloned()
            }
            Self::Minted(minter) => minter.certified(hello.server_name(), None),
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given",
            Self::Minted(_) => "Minted",
        })
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = certified.end_entity_cert().ok().and_then(|cert| ParsedCertificate::try_from(cert).ok());
    parsed.is_some_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

/// Asks Sabot's CA.
#[derive(Clone)]
pub(super) struct Minter {
    store: Arc<Store>,
    /// Names for a client that gives none.
    unnamed: Arc<Mutex<Vec<String>>>,
}

impl Minter {
    pub(super) fn new(store: &Arc<Store>) -> Self {
        let unnamed = LOCAL.map(str::to_owned).to_vec();
        Self { store: Arc::clone(store), unnamed: Arc::new(Mutex::new(unnamed)) }
    }

    /// A client that gives no name is likely to have used this address.
    pub(super) fn listens_on(&self, address: &Address) {
        let host = match address {
            Address::Tcp { host: Host::Ip(ip), .. } if !ip.is_unspecified() => ip.to_string(),
            Address::Tcp { host: Host::Name(name), .. } => canonical(name),
            _ => return,
        };
        let others =
            LOCAL.iter().filter(|name| **name != host).map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let names = [vec![host], others].concat();
        *self.unnamed.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// A certificate for that name, with that one problem.
    pub(super) fn certified(
        &self,
        name: Option<&str>,
        problem: Option<Problem>,
    ) -> Option<Arc<CertifiedKey>> {
        let names = match name {
            Some(name) => vec![canonical(name)],
            None => self.unnamed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        match self.store.get().and_then(|authority| authority.certified(&names, problem)) {
            Ok(certified) => Some(certified),
            Err(error) => {
                tracing::warn!(?names, %error, "no certificate for a client");
                None
            }
        }
    }
}

/// The same one, whoever asks.
#[derive(Debug)]
pub(super) struct Only(pub(super) Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice_in_a_certificate() {
        let minter = Minter::new(&Arc::new(Store::new(None, None)));
        for (listen, names) in [
            ("127.0.0.1:0", vec!["127.0.0.1", "localhost", "::1"]),
            ("[::1]:0", vec!["::1", "localhost", "127.0.0.1"]),
            ("localhost:0", vec!["localhost", "127.0.0.1", "::1"]),
            ("10.0.0.1:0", vec!["10.0.0.1", "localhost", "127.0.0.1", "::1"]),
        ] {
            minter.listens_on(&listen.parse().unwrap());
            assert_eq!(*minter.unnamed.lock().unwrap(), names, "{listen}");
        }
    }
}
