//! Sabot's own CA: made once and kept in a directory, or for this process only.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevocationReason, RevokedCertParams,
    SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use sabot_toxics::tls::Problem;

use super::{mint, provider};

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";

/// Another maker needs a moment; one that takes longer is stuck.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// Minted certificates that are kept: names that clients ask for, not clients.
const KEPT: usize = 256;

/// Revoked certificates that the list names: as many as can be in use.
const REVOKED: usize = 1024;

/// How long a list says that it is current.
const CRL_LIFE: Duration = Duration::from_secs(3600);

/// Why there is no CA.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file or the directory cannot be used.
    #[error("failed to use the CA in {directory}: {reason}")]
    Directory {
        /// Where it should be.
        directory: String,
        /// What is wrong there.
        reason: String,
    },
    /// Nothing could be signed.
    #[error("failed to make a certificate: {0}")]
    Signing(String),
}

/// A CA that can sign.
pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// Where clients find the list of what was revoked.
    pub(super) crl_url: Option<String>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The one made last at the end.
    kept: VecDeque<Kept>,
    revoked: VecDeque<(SerialNumber, SystemTime)>,
}

struct Kept {
    names: Vec<String>,
    problem: Option<Problem>,
    made: SystemTime,
    certified: Arc<CertifiedKey>,
}

impl Authority {
    /// The CA in `directory`, if there is one.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn load(directory: &Path) -> Result<Option<Self>, CaError> {
        let refuse =
            |reason: String| CaError::Directory { directory: directory.display().to_string(), reason };
        let read = |name: &str| match fs::read_to_string(directory.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refuse(format!("{name}: {error}"))),
        };
        match (read(CERTIFICATE)?, read(KEY)?) {
            (Some(pem), Some(key)) => {
                Self::from_pem(pem, &key).map(Some).map_err(|error| refuse(error.to_string()))
            }
            // A maker that died between the two has given nobody the certificate.
            (None, _) => Ok(None),
            (Some(_), None) => {
                Err(refuse(format!("{KEY} is missing: bring it back, or run `sabot ca init --force`")))
            }
        }
    }

    /// The CA in `directory`, made if it is not there yet; true if it was made.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub fn open(directory: &Path) -> Result<(Self, bool), CaError> {
        let refuse = |error: &dyn std::fmt::Display| CaError::Directory {
            directory: directory.display().to_string(),
            reason: error.to_string(),
        };
        if let Some(authority) = Self::load(directory)? {
            return Ok((authority, false));
        }
        fs::create_dir_all(directory).map_err(|error| refuse(&error))?;
        // Two that start at once make one.
        let _lock = lock(&directory.join("lock")).map_err(|error| refuse(&error))?;
        if let Some(authority) = Self::load(directory)? {
            return Ok((authority, false));
        }
        let (pem, key) = make()?;
        // The key first: a certificate says that both are there.
        put(&directory.join(KEY), key.as_bytes(), 0o600).map_err(|error| refuse(&error))?;
        put(&directory.join(CERTIFICATE), pem.as_bytes(), 0o644).map_err(|error| refuse(&error))?;
        Ok((Self::from_pem(pem, &key)?, true))
    }

    /// Makes a new CA in `directory`, in place of the one that is there.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub fn replace(directory: &Path) -> Result<Self, CaError> {
        for name in [CERTIFICATE, KEY] {
            match fs::remove_file(directory.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let directory = directory.display().to_string();
                    return Err(CaError::Directory { directory, reason: format!("{name}: {error}") });
                }
                _ => {}
            }
        }
        Self::open(directory).map(|(authority, _)| authority)
    }

    /// A CA that ends with this process.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn in_memory() -> Result<Self, CaError> {
        let (pem, key) = make()?;
        Self::from_pem(pem, &key)
    }

    /// The certificate's file in `directory`.
    #[must_use]
    pub fn certificate_file(directory: &Path) -> PathBuf {
        directory.join(CERTIFICATE)
    }

    fn from_pem(pem: String, key: &str) -> Result<Self, CaError> {
        let key = KeyPair::from_pem(key).map_err(signing)?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| CaError::Signing(format!("{CERTIFICATE} is no certificate: {error}")))?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(signing)?;
        Ok(Self { pem, der, issuer, crl_url: None, inner: Mutex::default() })
    }

    /// The certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate, in DER.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// A certificate for those names, with that one problem; one that was made before
    /// if it is not too old.
    pub(super) fn certified(
        &self,
        names: &[String],
        problem: Option<Problem>,
    ) -> Result<Arc<CertifiedKey>, CaError> {
        let now = SystemTime::now();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // Renewed at half its life: a connection that shows it now needs it for a while.
        let fresh = |kept: &Kept| now.duration_since(kept.made).is_ok_and(|age| age < mint::LEAF_LIFE / 2);
        inner.kept.retain(fresh);
        if let Some(kept) = inner.kept.iter().find(|kept| kept.names == names && kept.problem == problem) {
            return Ok(Arc::clone(&kept.certified));
        }
        let minted =
            mint::leaf(&self.issuer, names, problem, self.crl_url.as_deref(), now).map_err(signing)?;
        if problem == Some(Problem::Revoked) {
            inner.revoked.push_back((minted.serial, now));
            let over = inner.revoked.len().saturating_sub(REVOKED);
            inner.revoked.drain(..over);
        }
        let certified = CertifiedKey::from_der(minted.chain, minted.key, provider());
        let certified = Arc::new(certified.map_err(|error| CaError::Signing(error.to_string()))?);
        inner.kept.push_back(Kept {
            names: names.to_vec(),
            problem,
            made: now,
            certified: Arc::clone(&certified),
        });
        let over = inner.kept.len().saturating_sub(KEPT);
        inner.kept.drain(..over);
        Ok(certified)
    }

    /// The list of what was revoked since the start, in PEM and in DER.
    ///
    /// # Errors
    /// It could not be signed.
    pub fn crl(&self) -> Result<(String, Vec<u8>), CaError> {
        let now = SystemTime::now();
        let number = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let revoked = self.inner.lock().unwrap_or_else(PoisonError::into_inner).revoked.clone();
        let params = CertificateRevocationListParams {
            this_update: (now - Duration::from_secs(60)).into(),
            next_update: (now + CRL_LIFE).into(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .into_iter()
                .map(|(serial_number, at)| RevokedCertParams {
                    serial_number,
                    revocation_time: at.into(),
                    reason_code: Some(RevocationReason::KeyCompromise),
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).map_err(signing)?;
        Ok((list.pem().map_err(signing)?, list.der().to_vec()))
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key.
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn make() -> Result<(String, String), CaError> {
    let (params, key) = mint::authority(SystemTime::now()).map_err(signing)?;
    let certificate = params.self_signed(&key).map_err(signing)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[allow(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn signing(error: rcgen::Error) -> CaError {
    CaError::Signing(error.to_string())
}

/// Held until it is dropped.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    let give_up = Instant::now() + LOCK_LIMIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other(format!("{} is held by another process", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Writes a file that is whole or not there, readable for nobody before its time.
fn put(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let neighbour = path.with_extension("tmp");
    let _ = fs::remove_file(&neighbour);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&neighbour)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&neighbour, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn two_makers_make_one_whose_key_nobody_else_reads() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/ca");
        let pems: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| Authority::open(&path).unwrap().0.pem)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(pems.iter().all(|pem| *pem == pems[0]));
        assert_eq!(fs::metadata(path.join(KEY)).unwrap().permissions().mode() & 0o777, 0o600);
        let replaced = Authority::replace(&path).unwrap();
        assert_ne!(replaced.pem, pems[0]);
        fs::remove_file(path.join(KEY)).unwrap();
        let error = Authority::open(&path).unwrap_err().to_string();
        assert!(error.contains("ca.key is missing") && error.contains("--force"), "{error}");
        // A maker that died after the key.
        fs::remove_file(path.join(CERTIFICATE)).unwrap();
        fs::write(path.join(KEY), "half").unwrap();
        assert!(Authority::open(&path).unwrap().1);
    }

    #[test]
    fn certificates_are_kept_by_name_and_problem_within_a_bound() {
        let authority = Authority::in_memory().unwrap();
        let of = |name: &str, problem| authority.certified(&[name.to_owned()], problem).unwrap();
        assert!(Arc::ptr_eq(&of("a", None), &of("a", None)));
        assert!(!Arc::ptr_eq(&of("a", None), &of("a", Some(Problem::Expired))));
        assert!(!Arc::ptr_eq(&of("a", None), &of("b", None)));
        for number in 0..KEPT + 10 {
            of(&format!("n{number}"), None);
        }
        assert_eq!(authority.inner.lock().unwrap().kept.len(), KEPT);
    }

    #[test]
    fn what_was_revoked_is_listed() {
        let authority = Authority::in_memory().unwrap();
        let (_, before) = authority.crl().unwrap();
        let shown = authority.certified(&["a".to_owned()], Some(Problem::Revoked)).unwrap();
        let (pem, after) = authority.crl().unwrap();
        assert!(pem.starts_with("-----BEGIN X509 CRL-----"));
        let inner = authority.inner.lock().unwrap();
        let serial = inner.revoked[0].0.to_bytes();
        let has = |der: &[u8]| der.windows(serial.len()).any(|window| window == serial);
        assert!(has(&after) && !has(&before) && has(&shown.cert[0]));
    }
}
