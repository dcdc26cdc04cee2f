//! Where requests go: a base URL, read and checked.

use http::Uri;
use percent_encoding::percent_decode_str;
use sabot_toxics::{Invalid, suggestion};

/// A base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub scheme: String,
    pub host: String,
    pub port: u16,
    /// Host and port as they were written, for `Host` and `:authority`.
    pub authority: String,
    /// Without a slash at its end.
    pub path: String,
    pub user: Option<String>,
    pub password: Option<String>,
    /// The whole, as it was written.
    pub url: String,
}

/// Schemes, their default ports, and whether they speak TLS.
const SCHEMES: &[(&str, u16, bool)] = &[
    ("http", 80, false),
    ("https", 443, true),
    ("redis", 6379, false),
    ("rediss", 6379, true),
    ("postgres", 5432, false),
    ("postgresql", 5432, false),
];

impl Target {
    /// Reads the URL in the field `field`, which must have one of `schemes`.
    ///
    /// # Errors
    /// It is no URL, or of another scheme.
    pub(crate) fn parse(field: &str, url: &str, schemes: &[&str]) -> Result<Self, Invalid> {
        let example = schemes.first().copied().unwrap_or("http");
        let refuse = |what: &str| {
            Err(Invalid::new(
                field,
                format!("{what}: write it as {example}://localhost:{}", port_of(example)),
            ))
        };
        let Ok(uri) = url.parse::<Uri>() else { return refuse("is no URL") };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return refuse("is no whole URL");
        };
        if !schemes.contains(&scheme) {
            let message = format!("`{scheme}://` does not fit here{}", suggestion(scheme, schemes));
            return Err(Invalid::new(field, message));
        }
        let (user, password) = match authority.as_str().rsplit_once('@') {
            None => (None, None),
            Some((info, _)) => match info.split_once(':') {
                None => (Some(decoded(info)), None),
                Some((user, password)) => (Some(decoded(user)), Some(decoded(password))),
            },
        };
        let shown = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host);
        // The library takes any digits for a port, and says that there is none then.
        let has_port = shown.strip_prefix(authority.host()).is_some_and(|port| !port.is_empty());
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return refuse("has no port from 1 to 65535");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return refuse("names no host");
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or_else(|| port_of(scheme)),
            authority: shown.to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
            user: user.filter(|user| !user.is_empty()),
            password,
            url: url.to_owned(),
        })
    }

    /// Whether it speaks TLS from the first byte.
    pub(crate) fn tls(&self) -> bool {
        SCHEMES.iter().any(|(scheme, _, tls)| *scheme == self.scheme && *tls)
    }
}

fn port_of(scheme: &str) -> u16 {
    SCHEMES.iter().find(|(name, ..)| *name == scheme).map_or(80, |(_, port, _)| *port)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("target", "https://u%40:p@[::1]:8443/api/", &["http", "https"]).unwrap();
        assert_eq!((target.host.as_str(), target.port, target.path.as_str()), ("::1", 8443, "/api"));
        assert_eq!((target.user.as_deref(), target.password.as_deref()), (Some("u@"), Some("p")));
        assert_eq!(target.authority, "[::1]:8443");
        assert!(target.tls());
        let redis = Target::parse("target", "redis://cache/2", &["redis", "rediss"]).unwrap();
        assert_eq!((redis.port, redis.path.as_str(), redis.tls()), (6379, "/2", false));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for (url, says) in [
            ("localhost:8080", "is no whole URL: write it as http://localhost:80"),
            ("/path", "is no whole URL"),
            ("htp://x", "`htp://` does not fit here, did you mean `http`?"),
            ("http://a b", "is no URL"),
            ("http://localhost:0", "has no port from 1 to 65535: write it as http://localhost:80"),
            ("http://localhost:65536", "has no port"),
            ("http://u:p@[::1]:99999/x", "has no port"),
            ("http://localhost:", "has no port"),
        ] {
            let error = Target::parse("endpoints[0].target", url, &["http", "https"]).unwrap_err();
            assert_eq!(error.field, "endpoints[0].target");
            assert!(error.message.contains(says), "{url}: {}", error.message);
        }
    }
}
