//! Certificates and keys from PEM files. Refusals name the file and what to do.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sabot_toxics::Invalid;

use super::provider;

/// A certificate that fits its key; `cert` and `key` are the fields that name the files.
pub(super) fn certified(cert: (&str, &Path), key: (&str, &Path)) -> Result<CertifiedKey, Invalid> {
    let chain = certificates(cert.0, cert.1)?;
    let private = PrivateKeyDer::from_pem_file(key.1).map_err(|error| {
        let remedy = "an encrypted key must be decrypted first, for instance by `openssl pkey`";
        refuse(key.0, key.1, "private key", &error, remedy)
    })?;
    match CertifiedKey::from_der(chain, private, provider()) {
        Ok(certified) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let message = format!(
                "{} does not fit the certificate {}: give the key that it was made with",
                key.1.display(),
                cert.1.display()
            );
            Err(Invalid::new(key.0, message))
        }
        Err(error) => Err(Invalid::new(key.0, format!("{} cannot be used: {error}", key.1.display()))),
    }
}

/// The CAs in a file.
pub(super) fn roots(field: &str, path: &Path) -> Result<RootCertStore, Invalid> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(field, path)? {
        roots.add(certificate).map_err(|error| {
            let message = format!("{} holds a certificate that cannot be used: {error}", path.display());
            Invalid::new(field, message)
        })?;
    }
    Ok(roots)
}

/// As a verifier wants it.
pub(super) fn shared_roots(field: &str, path: &Path) -> Result<Arc<RootCertStore>, Invalid> {
    roots(field, path).map(Arc::new)
}

fn certificates(field: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    let remedy =
        "give the path as the server sees it, of a file that begins with -----BEGIN CERTIFICATE-----";
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => {
            Err(refuse(field, path, "certificate", &pem::Error::NoItemsFound, remedy))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(refuse(field, path, "certificate", &error, remedy)),
    }
}

fn refuse(field: &str, path: &Path, what: &str, error: &pem::Error, remedy: &str) -> Invalid {
    let path = path.display();
    let message = match error {
        pem::Error::Io(error) => {
            format!("failed to read {path}: {error}; give the path as the server sees it")
        }
        pem::Error::NoItemsFound => format!("{path} holds no {what} in PEM: {remedy}"),
        other => format!("{path} is no PEM: {other}"),
    };
    Invalid::new(field, message)
}
