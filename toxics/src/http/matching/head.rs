//! The head of a request, whoever read it.

use http::{request, uri};

/// The value of a header as text, if it is one: visible ASCII, spaces and tabs.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    let visible = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    visible.then(|| std::str::from_utf8(value).ok()).flatten()
}

/// The head of a request, whoever read it.
pub trait Head {
    /// The method.
    fn method(&self) -> &str;
    /// The path, without the query.
    fn path(&self) -> &str;
    /// The query, without its question mark.
    fn query(&self) -> Option<&str>;
    /// The host, perhaps with a port, if the target itself names one.
    fn authority(&self) -> Option<&str>;
    /// The values of the header of that name, which is in lower case; for `host` what the
    /// target names if there is no such header.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;
}

impl Head for request::Parts {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn path(&self) -> &str {
        self.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    fn authority(&self) -> Option<&str> {
        self.uri.authority().map(uri::Authority::as_str)
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let given = self.headers.get_all(name);
        // Over HTTP/2 the target names the host.
        let asked = (name == "host" && given.iter().next().is_none()).then(|| self.authority()).flatten();
        given.into_iter().map(http::HeaderValue::as_bytes).chain(asked.map(str::as_bytes))
    }
}
