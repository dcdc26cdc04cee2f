//! What Sabot's CA signs: certificates for one name, sound or with one thing wrong.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sabot_toxics::tls::Problem;

/// How long a minted certificate is valid. Short: it is made anew whenever it is needed.
pub(super) const LEAF_LIFE: Duration = Duration::from_secs(7 * DAY);

/// How long the CA itself is valid.
const CA_LIFE: Duration = Duration::from_secs(3650 * DAY);

/// Clocks of clients may be that much behind.
const SKEW: Duration = Duration::from_secs(DAY);

const DAY: u64 = 86_400;

/// The name in a certificate for the wrong host (RFC 6761: it never exists).
const WRONG_HOST: &str = "wrong-host.sabot.invalid";

/// A certificate with its key.
pub(super) struct Minted {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) serial: SerialNumber,
}

/// The certificate and the key of a new CA.
pub(super) fn authority(now: SystemTime) -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let serial = serial();
    let tag: String = serial.to_bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let mut params = CertificateParams::default();
    params.serial_number = Some(serial);
    // Two of them in one trust store must be told apart.
    params.distinguished_name = name(&format!("Sabot CA {tag}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - SKEW).into();
    params.not_after = (now + CA_LIFE).into();
    Ok((params, key))
}

/// A certificate for `names`, with that one `problem` if there is one.
pub(super) fn leaf(
    issuer: &Issuer<'_, KeyPair>,
    names: &[String],
    problem: Option<Problem>,
    crl: Option<&str>,
    now: SystemTime,
) -> Result<Minted, rcgen::Error> {
    let wrong = [WRONG_HOST.to_owned()];
    let names = if problem == Some(Problem::WrongHost) { &wrong } else { names };
    let mut params = CertificateParams::new(names)?;
    let serial = serial();
    params.serial_number = Some(serial.clone());
    params.distinguished_name = name(names.first().map_or("localhost", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let (from, to) = match problem {
        Some(Problem::Expired) => (now - LEAF_LIFE - SKEW, now - SKEW),
        Some(Problem::NotYetValid) => (now + SKEW, now + SKEW + LEAF_LIFE),
        _ => (now - SKEW, now + LEAF_LIFE),
    };
    params.not_before = from.into();
    params.not_after = to.into();
    if let (Some(Problem::Revoked), Some(url)) = (problem, crl) {
        params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![url.to_owned()] }];
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = match problem {
        Some(Problem::SelfSigned) => {
            params.use_authority_key_identifier_extension = false;
            params.self_signed(&key)?
        }
        Some(Problem::UnknownCa) => {
            let (stranger, stranger_key) = authority(now)?;
            params.signed_by(&key, &Issuer::new(stranger, stranger_key))?
        }
        _ => params.signed_by(&key, issuer)?,
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Minted { chain: vec![certificate.into()], key, serial })
}

/// As it stands in a certificate: an address in its one usual form, a name in small letters.
pub(super) fn canonical(name: &str) -> String {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>()
        .map_or_else(|_| bare.trim_end_matches('.').to_ascii_lowercase(), |ip| ip.to_string())
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Sabot, for tests only");
    // RFC 5280 bounds it to 64 characters; the names that count stand elsewhere.
    name.push(DnType::CommonName, common.chars().take(64).collect::<String>());
    name
}

/// Sixteen random bytes, positive.
fn serial() -> SerialNumber {
    let mut bytes = [0; 16];
    // Out of randomness it would be all zeros: signing fails then as well.
    let _ = super::provider().secure_random.fill(&mut bytes);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}
