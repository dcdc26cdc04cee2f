//! What a proxy changes in the heads of the requests that go up: `host_rewrite` and
//! `x_forwarded_for`.

use std::net::SocketAddr;

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, Scheme, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use sabot_toxics::Invalid;

use crate::model::{Protocol, ProxySpec};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a proxy changes, whoever asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Onward {
    host: Option<Authority>,
    forwarded_for: bool,
}

impl Onward {
    /// As the proxy is asked for.
    ///
    /// # Errors
    /// The host is none, or the proxy knows no requests.
    pub(crate) fn new(spec: &ProxySpec) -> Result<Self, Invalid> {
        let fields =
            [("host_rewrite", spec.host_rewrite.is_some()), ("x_forwarded_for", spec.x_forwarded_for)];
        if let Some((field, _)) = fields.iter().find(|(_, given)| *given && spec.protocol != Protocol::Http) {
            let message = "changes requests, and this proxy relays tcp: create it with `protocol` http, or leave it out";
            return Err(Invalid::new(*field, message));
        }
        let host = spec.host_rewrite.as_deref().map(authority).transpose()?;
        Ok(Self { host, forwarded_for: spec.x_forwarded_for })
    }

    /// The host that the upstream gets to see.
    pub(crate) fn host(&self) -> Option<&str> {
        self.host.as_ref().map(Authority::as_str)
    }

    /// Whether the upstream is told of the client's address.
    pub(crate) fn forwards_client(&self) -> bool {
        self.forwarded_for
    }

    /// What is changed in the requests of that client; none is one on a Unix socket.
    pub(super) fn of(&self, client: Option<SocketAddr>) -> Changes {
        let client = client.filter(|_| self.forwarded_for);
        Changes {
            host: self.host.clone(),
            client: client.map(|client| client.ip().to_canonical().to_string().into()),
        }
    }
}

/// A host and perhaps a port, as they stand in `Host` and `:authority`.
fn authority(text: &str) -> Result<Authority, Invalid> {
    let refused = |problem: &str| {
        let message = format!(
            "`{text}` {problem}: give a name or an address, and perhaps a port, such as api.example:8443"
        );
        Invalid::new("host_rewrite", message)
    };
    let parsed: Authority = text.parse().map_err(|_| refused("is no host"))?;
    if text.contains('@') {
        return Err(refused("has a user in it"));
    }
    let port = parsed.as_str().strip_prefix(parsed.host()).unwrap_or_default();
    if parsed.host().is_empty() || !port.is_empty() && parsed.port_u16().is_none() {
        return Err(refused(if parsed.host().is_empty() { "has no host in it" } else { "has no good port" }));
    }
    Ok(parsed)
}

/// What is changed in the requests of one client.
#[derive(Debug, Default)]
pub(super) struct Changes {
    host: Option<Authority>,
    /// The client's address, if the upstream is to be told.
    client: Option<Box<str>>,
}

impl Changes {
    /// Whether everything stays as it is.
    pub(super) fn is_empty(&self) -> bool {
        self.host.is_none() && self.client.is_none()
    }

    /// What the upstream gets for `Host`.
    pub(super) fn host(&self) -> Option<&str> {
        self.host.as_ref().map(Authority::as_str)
    }

    /// What the upstream gets for `X-Forwarded-For`, if the client sent these values.
    pub(super) fn forwarded_for<'a>(&'a self, sent: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
        let client = self.client.as_deref()?.as_bytes();
        // One header, as readers expect: not all of them look for a second.
        let values: Vec<_> = sent.filter(|value| !value.is_empty()).chain([client]).collect();
        Some(values.join(&b", "[..]))
    }

    /// Changes a request that is about to go up, in the form of its version.
    pub(super) fn apply(&self, head: &mut Parts) {
        if let Some(host) = &self.host {
            set_host(head, host);
        }
        let sent = head.headers.get_all(X_FORWARDED_FOR);
        if let Some(Ok(value)) = self
            .forwarded_for(sent.iter().map(HeaderValue::as_bytes))
            .map(|value| HeaderValue::from_bytes(&value))
        {
            head.headers.insert(X_FORWARDED_FOR, value);
        }
    }
}

fn set_host(head: &mut Parts, host: &Authority) {
    if head.version != Version::HTTP_2 {
        set(&mut head.headers, host);
        return;
    }
    if head.headers.contains_key(HOST) {
        set(&mut head.headers, host);
    }
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.scheme = parts.scheme.or(Some(Scheme::HTTP));
    parts.authority = Some(host.clone());
    // They were the parts of one before, and an authority was all that it may have lacked.
    head.uri = Uri::from_parts(parts).unwrap_or_default();
}

fn set(headers: &mut HeaderMap, host: &Authority) {
    // An authority has nothing in it that a header may not have.
    if let Ok(value) = HeaderValue::from_str(host.as_str()) {
        headers.insert(HOST, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(host: &str) -> Option<String> {
        let spec = ProxySpec {
            protocol: Protocol::Http,
            host_rewrite: Some(host.to_owned()),
            ..ProxySpec::new("p", "u:1")
        };
        Onward::new(&spec).err().map(|error| error.to_string())
    }

    #[test]
    fn only_what_can_stand_in_host_is_taken() {
        for good in ["a", "api.example", "api.example:8443", "10.0.0.1", "[::1]", "[::1]:80", "a_b-c.d"] {
            assert_eq!(refusal(good), None, "{good}");
        }
        for bad in [
            "", " ", "a b", "a\r\nb", "a/b", "http://a", "u@a", "u:p@a:1", "a:", "a:x", "a:99999", ":80",
            "::1",
        ] {
            let refused = refusal(bad).unwrap_or_else(|| panic!("{bad:?} was taken"));
            assert!(refused.starts_with("host_rewrite: ") && refused.contains("such as"), "{refused}");
        }
    }

    #[test]
    fn tcp_knows_no_requests() {
        let spec = ProxySpec { x_forwarded_for: true, ..ProxySpec::new("p", "u:1") };
        let refused = Onward::new(&spec).unwrap_err().to_string();
        assert!(refused.starts_with("x_forwarded_for: ") && refused.contains("`protocol` http"), "{refused}");
    }

    #[test]
    fn the_client_comes_last_in_one_header() {
        let onward = Onward { host: None, forwarded_for: true };
        let list = |client: &str, sent: &[&'static str]| {
            let changes = onward.of(client.parse().ok());
            let value = changes.forwarded_for(sent.iter().map(|value| value.as_bytes()));
            value.map(|value| String::from_utf8(value).unwrap())
        };
        assert_eq!(list("1.2.3.4:5", &[]).as_deref(), Some("1.2.3.4"));
        assert_eq!(list("[::ffff:1.2.3.4]:5", &["a, b", "", "c"]).as_deref(), Some("a, b, c, 1.2.3.4"));
        assert_eq!(list("[2001:db8::1]:5", &["a"]).as_deref(), Some("a, 2001:db8::1"));
        assert_eq!(list("unix", &["a"]), None);
    }
}
