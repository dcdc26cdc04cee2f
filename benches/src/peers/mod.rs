//! The proxies that are compared: one file and one line in the list for each.

mod envoy;
mod haproxy;
pub(crate) mod nginx;
pub mod sabot;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use crate::process;
use crate::server::Server;
use crate::services::Certificate;

/// A way through a proxy.
#[derive(Clone, Debug)]
pub struct Route {
    /// What it is called in configurations.
    pub name: &'static str,
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// Where it leads.
    pub upstream: SocketAddr,
    /// As what the proxy takes what passes.
    pub protocol: Protocol,
    /// Toxics as Toxiproxy's config has them; only [`Peer::faults`] know them.
    pub toxics: Vec<Value>,
}

/// As what a proxy takes what passes. Connections to an HTTP upstream are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// As bytes.
    Tcp,
    /// HTTP/1.1 on both sides.
    Http1,
    /// HTTP/2 by prior knowledge towards the client, HTTP/1.1 towards the upstream.
    Http2,
    /// HTTP/2 by prior knowledge on both sides.
    Grpc,
    /// HTTP/1.1 on both sides, under TLS towards the client.
    Https,
}

/// How a proxy is started.
pub struct Start {
    /// An empty directory for its configuration and log.
    pub home: PathBuf,
    /// The ways through it.
    pub routes: Vec<Route>,
    /// What it shows under TLS.
    pub certificate: Certificate,
    /// Sabot's binary, if one was named.
    pub sabot: Option<PathBuf>,
    /// How many threads or workers.
    pub threads: usize,
}

/// A proxy that can be compared.
pub struct Peer {
    /// Its name in options, tables and JSON.
    pub name: &'static str,
    /// How many connections at once it can hold under the limit of 20,000 file
    /// descriptors that the usual machine of these figures has.
    pub connections: usize,
    /// Whether its HTTP mode is measured.
    pub http: bool,
    /// Whether it knows faults.
    pub faults: bool,
    /// Starts it.
    pub start: fn(&Start) -> Result<Server>,
    /// Its version.
    pub version: fn(&Start) -> Result<String>,
}

/// Sabot's name among the peers.
pub const SABOT: &str = "sabot";
/// nginx's name among the peers.
pub const NGINX: &str = "nginx";
/// The name of the column without a proxy.
pub const DIRECT: &str = "direct";

/// All of them, in the order of the columns.
pub const PEERS: [Peer; 5] = [
    Peer {
        name: "haproxy",
        connections: 9_000,
        http: true,
        faults: false,
        start: haproxy::plain,
        version: haproxy::version,
    },
    // With splice each connection takes four more descriptors, for pipes. Answers of a
    // few bytes are none to splice.
    Peer {
        name: "haproxy-splice",
        connections: 3_900,
        http: false,
        faults: false,
        start: haproxy::splice,
        version: haproxy::version,
    },
    Peer {
        name: NGINX,
        connections: 9_000,
        http: true,
        faults: false,
        start: nginx::start,
        version: nginx::version,
    },
    Peer {
        name: "envoy",
        connections: 9_000,
        http: true,
        faults: false,
        start: envoy::start,
        version: envoy::version,
    },
    Peer {
        name: SABOT,
        connections: 9_000,
        http: true,
        faults: true,
        start: sabot::start,
        version: sabot::version,
    },
];

/// A proxy that runs.
pub struct Running {
    /// Its ways.
    pub routes: Vec<Route>,
    server: Server,
}

impl Running {
    /// Starts `peer` and waits until it listens everywhere.
    ///
    /// # Errors
    /// It is missing or does not come up.
    pub fn start(peer: &Peer, start: &Start) -> Result<Self> {
        let mut server = (peer.start)(start)?;
        let addresses: Vec<SocketAddr> = start.routes.iter().map(|route| route.listen).collect();
        server.wait_for(&addresses)?;
        Ok(Self { routes: start.routes.clone(), server })
    }

    /// CPU seconds it has used so far.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        process::cpu_seconds(self.server.pid())
    }

    /// Its resident memory in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        process::resident_kib(self.server.pid())
    }
}
