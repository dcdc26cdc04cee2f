//! The tokens that the API asks for.

use std::net::SocketAddr;

use sabot_injections::access::{Access, AccessError};

use crate::commands::serve::Serve;
use crate::failure::Failure;

/// The tokens of the state directory; what is unwise about them is logged.
pub(super) fn open(options: &Serve, address: SocketAddr) -> Result<Access, Failure> {
    let Some(directory) = options.state_dir.as_deref() else {
        return Err(Failure::new("--auth needs a place for tokens", "name a directory with --state-dir"));
    };
    let refused = |error: AccessError| {
        Failure::new(format!("failed to open the tokens: {error}"), "name another directory with --state-dir")
    };
    let access = Access::open(directory).map_err(refused)?;
    if access.tokens().map_err(refused)?.is_empty() {
        let directory = directory.display();
        tracing::warn!(
            "there are no tokens yet: `sabot token create --state-dir {directory} --owner WHO --role admin` makes one"
        );
    }
    if !options.has_api_tls() && !address.ip().is_loopback() {
        tracing::warn!("tokens come over plain HTTP, readable on the way: serve TLS with --api-tls");
    }
    Ok(access)
}
