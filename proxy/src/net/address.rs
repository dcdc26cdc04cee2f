//! What people write for a listener or an upstream: `host:port`, `[v6]:port`,
//! `:port`, `unix:/path`. Parsing only: nothing is resolved here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// Where to listen or to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// TCP over IPv4 or IPv6.
    Tcp {
        /// The interface or the machine.
        host: Host,
        /// 0 lets the system choose, when listening.
        port: u16,
    },
    /// A Unix stream socket.
    Unix(PathBuf),
}

/// The host part of a TCP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Nothing given: all interfaces when listening, this machine when dialling.
    Any,
    /// A literal address.
    Ip(IpAddr),
    /// A name, resolved each time it is used.
    Name(String),
}

/// Why a text is no address. Completes "failed to parse address …".
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum AddressError {
    /// There is no `:port`.
    #[error("`{0}` has no port (write host:port, [v6]:port, :port or unix:/path)")]
    MissingPort(String),
    /// What follows the last colon is no port.
    #[error("`{0}` has a port that is not a number from 0 to 65535")]
    BadPort(String),
    /// `[…]` holds no IPv6 address, or a bare IPv6 address has no brackets.
    #[error("`{0}` is no IPv6 address in brackets followed by a port, such as [::1]:6379")]
    BadV6(String),
    /// `unix:` without a path.
    #[error("`{0}` names no path (write unix:/path)")]
    MissingPath(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///path` is the URL form of the same thing.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(AddressError::MissingPath(text.to_owned()));
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return if text.is_empty() {
                Ok(Self::Tcp { host: Host::Any, port: 0 })
            } else {
                Err(AddressError::MissingPort(text.to_owned()))
            };
        };
        let host = Host::parse(host).ok_or_else(|| AddressError::BadV6(text.to_owned()))?;
        let port = port.parse().map_err(|_| AddressError::BadPort(text.to_owned()))?;
        Ok(Self::Tcp { host, port })
    }
}

impl Address {
    /// Whether both mean the same without asking a resolver: `localhost` is
    /// 127.0.0.1, as a listener on it reports.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp { host: a, port: p }, Self::Tcp { host: b, port: q }) => {
                p == q && a.canonical() == b.canonical()
            }
            (Self::Unix(a), Self::Unix(b)) => a == b,
            _ => false,
        }
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']')?;
            return if inner.is_empty() {
                Some(Self::Any)
            } else {
                inner.parse().ok().map(|v6: Ipv6Addr| Self::Ip(IpAddr::V6(v6)))
            };
        }
        if text.is_empty() {
            return Some(Self::Any);
        }
        if text.contains(':') {
            return None;
        }
        Some(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Ip))
    }

    /// `*.localhost` and `localhost` never leave the machine (RFC 6761), so they
    /// need no resolver.
    pub(crate) fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if {
            let name = name.strip_suffix('.').unwrap_or(name);
            name.eq_ignore_ascii_case("localhost")
        })
    }

    fn canonical(&self) -> Self {
        match self {
            _ if self.is_localhost() => Self::Ip(Ipv4Addr::LOCALHOST.into()),
            Self::Any => Self::Ip(Ipv6Addr::UNSPECIFIED.into()),
            Self::Name(name) => Self::Name(name.to_ascii_lowercase()),
            Self::Ip(ip) => Self::Ip(*ip),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp { host: Host::Ip(addr.ip()), port: addr.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host: Host::Any, port } => write!(f, ":{port}"),
            Self::Tcp { host: Host::Ip(ip), port } => write!(f, "{}", SocketAddr::new(*ip, *port)),
            Self::Tcp { host: Host::Name(name), port } => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_parses_and_prints_back() {
        for text in ["127.0.0.1:80", "[::1]:6379", "redis:6379", ":8080", "unix:/run/x.sock"] {
            assert_eq!(parse(text).to_string(), text);
        }
        assert_eq!(parse(""), Address::Tcp { host: Host::Any, port: 0 });
        assert_eq!(parse("[::]:1"), parse("[0:0::]:1"));
        assert_eq!(parse("unix:///run/x"), parse("unix:/run/x"));
    }

    #[test]
    fn what_is_no_address_is_named() {
        for (text, part) in [
            ("redis", "no port"),
            ("redis:http", "not a number"),
            ("redis:65536", "not a number"),
            ("::1:80", "brackets"),
            ("[zz]:80", "brackets"),
            ("unix:", "path"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(text), "{error}");
        }
    }

    #[test]
    fn localhost_is_the_loopback_address() {
        assert!(parse("localhost:1").same(&parse("127.0.0.1:1")));
        assert!(!parse("localhost:1").same(&parse("127.0.0.1:2")));
        assert!(parse(":1").same(&parse("[::]:1")));
        assert!(!parse("Redis:1").same(&parse("localhost:1")));
        assert!(parse("Redis:1").same(&parse("redis:1")));
    }
}
