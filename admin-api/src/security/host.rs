//! Which names this server answers to.
//!
//! A page that rebinds its own name to this address sends that name as the
//! host. Such a name lies in the public DNS, so names that cannot lie there
//! pass: addresses, single labels (compose services), reserved and private
//! suffixes.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::ApiError;

/// Suffixes that no public registrar can sell.
const PRIVATE: [&str; 6] = [".local", ".internal", ".test", ".localhost", ".svc", ".cluster.local"];

/// Whether requests for `host` (a name or address, with or without port) pass.
pub(super) fn passes(host: &str, allowed: &[String]) -> bool {
    let name = name(host);
    is_address(name)
        || !name.contains('.')
        || PRIVATE.iter().any(|suffix| has_suffix(name, suffix))
        || listed(name, allowed)
}

/// Whether the name was allowed by an option.
pub(super) fn listed(name: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|allowed| {
        let allowed = allowed.trim_end_matches('.');
        match allowed.strip_prefix('*').unwrap_or(allowed) {
            "" => !allowed.is_empty(),
            suffix if suffix.starts_with('.') => has_suffix(name, suffix),
            exact => self::name(exact).eq_ignore_ascii_case(name),
        }
    })
}

/// The host without its port and without the root's dot.
pub(super) fn name(host: &str) -> &str {
    let host = host.trim();
    if let Some((address, port)) = host.split_once(']').filter(|_| host.starts_with('[')) {
        let bare = port.is_empty() || port.starts_with(':');
        return if bare { &host[..=address.len()] } else { host };
    }
    let name = match host.rsplit_once(':') {
        // More than one colon: a bare IPv6 address, which has no port.
        Some((name, _)) if !name.contains(':') => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

pub(super) fn refusal(host: &str) -> ApiError {
    let name = name(host);
    ApiError::forbidden(format!("host {name:?} is not allowed: start sabot with --allowed-host={name}"))
}

fn is_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    // A zone (`fe80::1%eth0`) is part of the address as people write it.
    let bare = bare.split('%').next().unwrap_or(bare);
    bare.parse::<Ipv4Addr>().is_ok() || bare.parse::<Ipv6Addr>().is_ok()
}

fn has_suffix(name: &str, suffix: &str) -> bool {
    let split = name.len().checked_sub(suffix.len()).filter(|&split| split > 0);
    split.and_then(|split| name.get(split..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_use_passes() {
        for host in [
            "127.0.0.1:8474",
            "127.0.0.1",
            "192.168.0.7:80",
            "[::1]:8474",
            "[::1]",
            "::1",
            "[fe80::1%25eth0]:8474",
            "localhost:8474",
            "LOCALHOST",
            "localhost.",
            "toxiproxy:8474",
            "my_service",
            "host.docker.internal:8474",
            "printer.local",
            "db.test:1",
            "app.localhost:3000",
            "toxiproxy.chaos.svc",
            "toxiproxy.chaos.svc.cluster.local:8474",
            "Toxiproxy.Chaos.SVC.Cluster.Local",
        ] {
            assert!(passes(host, &[]), "{host}");
        }
    }

    #[test]
    fn names_of_the_public_dns_are_refused() {
        for host in [
            "evil.com",
            "evil.com:8474",
            "127.0.0.1.evil.com",
            "127-0-0-1.nip.io",
            "localhost.evil.com",
            "evil.com.",
            "notlocal.localx",
            "[::1].evil.com.evil.com",
            ".local.com",
            "xn--e1afmkfd.xn--p1ai",
            "a.évil",
        ] {
            assert!(!passes(host, &[]), "{host}");
        }
        assert!(refusal("ci.example.com:8474").message.contains("--allowed-host=ci.example.com"));
    }

    #[test]
    fn allowed_names_pass() {
        for (host, allowed, passes_it) in [
            ("ci.example.com:8474", "ci.example.com", true),
            ("CI.example.com", "ci.Example.com", true),
            ("ci.example.com", "ci.example.com:8474", true),
            ("other.example.com", "ci.example.com", false),
            ("a.b.example.com", ".example.com", true),
            ("a.example.com", "*.example.com", true),
            ("example.com", "*.example.com", false),
            ("anything.org", "*", true),
            ("anything.org", "", false),
        ] {
            assert_eq!(passes(host, &[allowed.to_owned()]), passes_it, "{host} with {allowed}");
        }
    }
}
