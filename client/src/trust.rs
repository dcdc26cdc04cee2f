//! Whom a client believes that it speaks to, over https.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::Error;

/// Which servers are believed, beside those that the system's roots vouch for.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// A PEM file of CAs that is to be read, and counts instead of the system's roots.
    pub ca: Option<PathBuf>,
    /// PEM files that count as well, if they are there.
    pub also: Vec<PathBuf>,
    /// Believe anybody.
    pub insecure: bool,
}

impl Trust {
    pub(crate) fn config(&self) -> Result<ClientConfig, Error> {
        Ok(self.builder()?.with_no_client_auth())
    }

    /// The beginning of a client's TLS configuration that believes so; who the client itself is
    /// remains to be said.
    ///
    /// # Errors
    /// A file of CAs cannot be read, or holds none.
    pub fn builder(&self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Trust { file: "TLS".to_owned(), reason: error.to_string() })?;
        if self.insecure {
            let anybody = Arc::new(Anybody(provider));
            return Ok(builder.dangerous().with_custom_certificate_verifier(anybody));
        }
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                let refuse = |reason: String| Error::Trust { file: path.display().to_string(), reason };
                let read =
                    CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                for certificate in read.map_err(|error| refuse(error.to_string()))? {
                    roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(refuse("it holds no certificate in PEM".to_owned()));
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                for path in &self.also {
                    let found = CertificateDer::pem_file_iter(path).into_iter().flatten().flatten();
                    roots.add_parsable_certificates(found);
                }
            }
        }
        Ok(builder.with_root_certificates(roots))
    }

    /// For a client that speaks no TLS.
    pub(crate) fn none() -> Result<ClientConfig, Error> {
        Self { insecure: true, ..Self::default() }.config()
    }
}

/// Believes whatever certificate it is shown.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

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
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
