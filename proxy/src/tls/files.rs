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
    let private = private_key(key.0, key.1)?;
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
        // It is the certificate that could not be read.
        Err(rustls::Error::InvalidCertificate(error)) => {
            let why = match format!("{error:?}") {
                text if text.contains("UnsupportedCertVersion") => {
                    "it is not of X.509 version 3: sign it anew with extensions, such as `openssl x509 -req -extfile FILE`"
                        .to_owned()
                }
                _ => error.to_string(),
            };
            Err(Invalid::new(cert.0, format!("{} cannot be used: {why}", cert.1.display())))
        }
        Err(error) => Err(Invalid::new(key.0, format!("{} cannot be used: {error}", key.1.display()))),
    }
}

fn private_key(field: &str, path: &Path) -> Result<PrivateKeyDer<'static>, Invalid> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        // PKCS #8 says it in its first line, older files in their second.
        let encrypted = std::fs::read_to_string(path).is_ok_and(|text| text.contains("ENCRYPTED"));
        if encrypted {
            let name = path.display();
            let message =
                format!("{name} is encrypted: give what `openssl pkey -in {name} -out key.pem` decrypts");
            return Invalid::new(field, message);
        }
        refuse(field, path, "private key", &error, "give a file that has -----BEGIN PRIVATE KEY-----")
    })
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::certified;

    /// Of X.509 version 1, as `openssl x509 -req` makes it without extensions.
    const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBEzCBuwIUHvFkcDzEdOWVXiK0Tj2dTQCs/O0wCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCdjEwHhcNMjYxMTIxMTUzMjU4WhcNMjYxMTIyMTUzMjU4WjANMQswCQYD
VQQDDAJ2MTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABP/mz2I9pSSa37fZG0rc
eo5rKAV17FRdngI6iBnJtaqLmWq67dflhjQEQv+crFCuDvB14vT6mkrES2r2m+kp
NIgwCgYIKoZIzj0EAwIDRwAwRAIgAv1fyrl5/UP+ZMQ3Wot5cFCdOfsVaBYl+q11
1ysma18CIDUt+7+8co+q7dCgLalWUU4DsgKed8n0Ir6Q8v7AkB8q
-----END CERTIFICATE-----
";

    /// How the two kinds of encrypted keys begin; nothing is ever decrypted.
    const ENCRYPTED: [&str; 2] = [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMAA=\n\
         -----END EC PRIVATE KEY-----\n",
    ];

    fn refused(cert: &str, key: &str) -> (String, String) {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (cert, key) = (path("c.pem", cert), path("k.pem", key));
        let refusal = certified(("cert", Path::new(&cert)), ("key", Path::new(&key))).unwrap_err();
        (refusal.field, refusal.message)
    }

    #[test]
    fn an_encrypted_key_says_so() {
        for key in ENCRYPTED {
            let (field, message) = refused(VERSION_1, key);
            assert_eq!(field, "key");
            assert!(message.contains("is encrypted") && message.contains("openssl pkey -in"), "{message}");
        }
        let (_, message) = refused(VERSION_1, VERSION_1);
        assert!(message.contains("no private key") && !message.contains("encrypted"), "{message}");
    }

    #[test]
    fn a_certificate_that_is_refused_is_named_itself() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let (field, message) = refused(VERSION_1, &key);
        assert_eq!(field, "cert");
        assert!(message.contains("c.pem") && message.contains("version 3"), "{message}");
    }
}
