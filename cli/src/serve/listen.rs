//! Where the API listens.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::failure::Failure;

/// Binds `host:port`. An empty host is every interface; of a name's addresses
/// IPv4 comes first, as Toxiproxy's clients expect of `localhost`.
pub(super) async fn bind(host: &str, port: u16) -> Result<TcpListener, Failure> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let refuse = |reason: &dyn std::fmt::Display| {
        let help = "choose another with --host and --port (port 0 is a free one)";
        Failure::new(format!("failed to listen on {host}:{port} for the API: {reason}"), help)
    };
    let addresses = match bare {
        // Dual-stack where there is IPv6, else what there is.
        "" => vec![
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        ],
        name => {
            let found = tokio::net::lookup_host((name, port)).await.map_err(|error| refuse(&error))?;
            let mut found: Vec<_> = found.collect();
            found.sort_by_key(SocketAddr::is_ipv6);
            found
        }
    };
    let mut last = None;
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = last.or(Some(error)),
        }
    }
    Err(match last {
        Some(error) => refuse(&error),
        None => refuse(&"the name has no address"),
    })
}
