//! What is asked of a proxy's TLS, and what of it cannot be.

use std::path::PathBuf;

use sabot_toxics::{Invalid, TlsVersion, suggestion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Protocol;
use crate::net::Address;

/// Protocols that an HTTP proxy can speak.
const HTTP_ALPN: [&str; 2] = ["h2", "http/1.1"];

/// TLS on either side of a proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSpec {
    /// Be the TLS server that clients talk to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminate: Option<Terminate>,
    /// Speak TLS to the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub originate: Option<Originate>,
    /// Read the name that clients ask for and pass their TLS on as it is. Excludes the
    /// other two.
    #[serde(skip_serializing_if = "is_false")]
    pub passthrough: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(it: &bool) -> bool {
    !it
}

/// TLS towards clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Terminate {
    /// Certificates with their keys. Of several the first one that is valid for the name
    /// the client asks for is shown, else the first. None given: Sabot's CA mints one for
    /// each name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Vec<CertificateFiles>>,
    /// Ask clients for a certificate that one of the CAs in this PEM file signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is refused; `required` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
    /// Protocols for ALPN, the preferred one first; `h2` and `http/1.1` for HTTP proxies,
    /// none for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<Vec<String>>,
    /// The lowest version that is spoken, 1.2 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// The highest version that is spoken, 1.3 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
}

/// A certificate and its key: PEM files, as the server sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The certificate, and what leads from it to its CA.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Whether clients need a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// A client without one is refused.
    Required,
    /// A client may come without one; a bad one is refused.
    Optional,
}

/// TLS towards the upstream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Originate {
    /// The name that is asked for and that the certificate must have; the upstream's host
    /// unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// A PEM file of the CAs to trust instead of the system's and Sabot's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Accept any certificate: whoever is between can read and change everything.
    #[serde(skip_serializing_if = "is_false")]
    pub insecure: bool,
    /// A certificate (PEM file) for upstreams that ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Protocols for ALPN. HTTP proxies ask for the one that they are about to speak,
    /// and do so only if it is among these where they are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<Vec<String>>,
}

impl TlsSpec {
    /// JSON Schema of it.
    #[must_use]
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }

    pub(super) fn validate(&self, protocol: Protocol, upstream: &str) -> Result<(), Invalid> {
        if self.passthrough {
            let other = [("terminate", self.terminate.is_some()), ("originate", self.originate.is_some())];
            if let Some((other, _)) = other.iter().find(|(_, given)| *given) {
                let message = format!("excludes {other}: TLS either passes through or ends here");
                return Err(Invalid::new("passthrough", message));
            }
            if protocol == Protocol::Http {
                let message = "shows no request to an http proxy: terminate TLS, or use `protocol` tcp";
                return Err(Invalid::new("passthrough", message));
            }
        } else if self.terminate.is_none() && self.originate.is_none() {
            return Err(Invalid::new("", "asks for nothing: give terminate, originate or passthrough"));
        }
        self.terminate
            .as_ref()
            .map_or(Ok(()), |it| it.validate(protocol))
            .map_err(|e| e.within("terminate"))?;
        let originate = self.originate.as_ref();
        originate.map_or(Ok(()), |it| it.validate(protocol)).map_err(|e| e.within("originate"))?;
        self.check_upstream(upstream)
    }

    /// Refuses an upstream that has no name to ask a certificate for.
    pub(crate) fn check_upstream(&self, upstream: &str) -> Result<(), Invalid> {
        let unix = matches!(upstream.parse(), Ok(Address::Unix(_)));
        if unix && self.originate.as_ref().is_some_and(|it| it.server_name.is_none()) {
            let message = "is needed for an upstream on a Unix socket: which name is its certificate for?";
            return Err(Invalid::new("originate.server_name", message));
        }
        Ok(())
    }
}

impl Terminate {
    fn validate(&self, protocol: Protocol) -> Result<(), Invalid> {
        if self.certificates.as_ref().is_some_and(Vec::is_empty) {
            let message = "is empty: leave it out to have certificates minted by Sabot's CA";
            return Err(Invalid::new("certificates", message));
        }
        if self.client_auth.is_some() && self.client_ca.is_none() {
            return Err(Invalid::new(
                "client_auth",
                "needs client_ca: who signs the certificates of clients?",
            ));
        }
        if let (Some(min), Some(max)) = (self.min_version, self.max_version)
            && min > max
        {
            let message = format!("{} lies above max_version {}", min.as_str(), max.as_str());
            return Err(Invalid::new("min_version", message));
        }
        check_alpn(self.alpn.as_deref(), protocol)
    }
}

impl Originate {
    fn validate(&self, protocol: Protocol) -> Result<(), Invalid> {
        for (given, field, other) in [(&self.cert, "key", &self.key), (&self.key, "cert", &self.cert)] {
            if given.is_some() && other.is_none() {
                return Err(Invalid::new(field, "is missing: a certificate and its key go together"));
            }
        }
        if self.insecure && self.ca.is_some() {
            return Err(Invalid::new("insecure", "accepts any certificate: leave it or `ca` out"));
        }
        check_alpn(self.alpn.as_deref(), protocol)
    }
}

fn check_alpn(alpn: Option<&[String]>, protocol: Protocol) -> Result<(), Invalid> {
    let Some(alpn) = alpn else { return Ok(()) };
    if alpn.is_empty() {
        return Err(Invalid::new("alpn", "is empty: leave it out"));
    }
    for (index, name) in alpn.iter().enumerate() {
        let field = format!("alpn[{index}]");
        if name.is_empty() || name.len() > 255 {
            return Err(Invalid::new(field, "must have 1 to 255 bytes"));
        }
        if protocol == Protocol::Http && !HTTP_ALPN.contains(&name.as_str()) {
            let near = suggestion(name, &HTTP_ALPN);
            return Err(Invalid::new(field, format!("`{name}` is nothing that an http proxy speaks{near}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(spec: Value, protocol: Protocol, upstream: &str) -> String {
        sabot_toxics::read(spec)
            .and_then(|spec: TlsSpec| spec.validate(protocol, upstream))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_cannot_be_is_named_with_a_remedy() {
        let tcp = Protocol::Tcp;
        for (spec, protocol, said) in [
            (json!({}), tcp, ": asks for nothing: give terminate"),
            (json!({"terminat": {}}), tcp, "terminat: unknown field, did you mean `terminate`?"),
            (json!({"terminate": {"certs": []}}), tcp, "terminate.certs: unknown field"),
            (
                json!({"terminate": {"certificates": [{"cert": "a", "kye": "b"}]}}),
                tcp,
                "terminate.certificates[0].kye: unknown field, did you mean `key`?",
            ),
            (
                json!({"terminate": {"certificates": [{"cert": "a"}]}}),
                tcp,
                "terminate.certificates[0].key: is missing",
            ),
            (
                json!({"terminate": {"certificates": []}}),
                tcp,
                "terminate.certificates: is empty: leave it out",
            ),
            (json!({"terminate": {}, "passthrough": true}), tcp, "passthrough: excludes terminate"),
            (json!({"originate": {}, "passthrough": true}), tcp, "passthrough: excludes originate"),
            (json!({"passthrough": true}), Protocol::Http, "passthrough: shows no request to an http proxy"),
            (
                json!({"terminate": {"client_auth": "optional"}}),
                tcp,
                "terminate.client_auth: needs client_ca",
            ),
            (
                json!({"terminate": {"client_auth": "maybe"}}),
                tcp,
                "terminate.client_auth: `maybe` is not known here, known are: ",
            ),
            (
                json!({"terminate": {"min_version": "1.1"}}),
                tcp,
                "terminate.min_version: \"1.1\" is no version",
            ),
            (
                json!({"terminate": {"min_version": 1.3, "max_version": "1.2"}}),
                tcp,
                "terminate.min_version: 1.3 lies above max_version 1.2",
            ),
            (
                json!({"terminate": {"alpn": ["http2"]}}),
                Protocol::Http,
                "terminate.alpn[0]: `http2` is nothing",
            ),
            (json!({"terminate": {"alpn": []}}), tcp, "terminate.alpn: is empty"),
            (json!({"terminate": {"alpn": "h2"}}), tcp, "terminate.alpn: must be a list, not \"h2\""),
            (json!({"terminate": 1}), tcp, "terminate: must be an object, not 1"),
            (json!({"originate": {"cert": "c"}}), tcp, "originate.key: is missing"),
            (json!({"originate": {"key": "c"}}), tcp, "originate.cert: is missing"),
            (json!({"originate": {"ca": "c", "insecure": true}}), tcp, "originate.insecure: accepts any"),
        ] {
            let found = refused(spec.clone(), protocol, "a:1");
            assert!(found.contains(said), "{spec}: {found}");
        }
        let found = refused(json!({"originate": {}}), tcp, "unix:/x");
        assert!(found.starts_with("originate.server_name: is needed"), "{found}");
    }

    #[test]
    fn what_can_be_is_read_and_written_the_same() {
        for spec in [
            json!({"terminate": {}}),
            json!({"passthrough": true}),
            json!({"terminate": {"min_version": "1.3", "alpn": ["postgresql"]}, "originate": {"insecure": true}}),
            json!({"originate": {"server_name": "x", "cert": "/c", "key": "/k"}}),
        ] {
            let read: TlsSpec = sabot_toxics::read(spec.clone()).unwrap();
            read.validate(Protocol::Tcp, "a:1").unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), spec);
        }
    }
}
