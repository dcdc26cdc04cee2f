//! What lies behind the proxies: Redis, an HTTP server, iperf3, a gRPC
//! server and an echo server.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::load::{echo, grpc, redis};
use crate::peers::nginx;
use crate::server::{self, Server};
use crate::site::{self, Site};

/// The servers, running as long as this lives.
pub struct Services {
    /// A Redis that keeps nothing on disk.
    pub redis: SocketAddr,
    /// iperf3's server.
    pub bulk: SocketAddr,
    /// An HTTP server with a small answer.
    pub http: SocketAddr,
    /// Says everything back.
    pub echo: SocketAddr,
    /// One unary method.
    pub grpc: grpc::Server,
    /// What proxies show under TLS.
    pub certificate: Certificate,
    _servers: Vec<Server>,
}

/// A certificate for localhost that signs itself, ECDSA over P-256.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate's file.
    pub cert: PathBuf,
    /// The key's file.
    pub key: PathBuf,
    /// One file with both.
    pub both: PathBuf,
}

impl Services {
    /// Starts them all on free ports.
    ///
    /// # Errors
    /// A program is missing or does not come up.
    pub fn start(site: &Site) -> Result<Self> {
        let addresses = site::free_addresses(3)?;
        let (redis, bulk, http) = (addresses[0], addresses[1], addresses[2]);
        let servers = vec![start_redis(site, redis)?, start_iperf(site, bulk)?, start_http(site, http)?];
        redis::prepare(redis)?;
        let (echo, grpc, certificate) = (echo::start()?, grpc::Server::start()?, certificate(site)?);
        Ok(Self { redis, bulk, http, echo, grpc, certificate, _servers: servers })
    }
}

fn start_redis(site: &Site, at: SocketAddr) -> Result<Server> {
    let directory = site.directory("redis")?;
    let (port, home) = (at.port().to_string(), directory.display().to_string());
    let args = ["--port", &port, "--bind", "127.0.0.1", "--dir", &home, "--save", "", "--appendonly", "no"];
    let mut server = Server::start(&site::program("redis-server")?, &args, directory.join("log"))?;
    server.wait_for(&[at])?;
    Ok(server)
}

fn start_iperf(site: &Site, at: SocketAddr) -> Result<Server> {
    let port = at.port().to_string();
    let args = ["-s", "-B", "127.0.0.1", "-p", &port];
    let mut server = Server::start(&site::program("iperf3")?, &args, site.directory("iperf3")?.join("log"))?;
    server.wait_for(&[at])?;
    Ok(server)
}

fn start_http(site: &Site, at: SocketAddr) -> Result<Server> {
    let directory = site.directory("http")?;
    let home = directory.display();
    let basics = nginx::http_basics(&directory);
    let config = format!(
        "daemon off;\npid {home}/pid;\nerror_log {home}/errors warn;\nworker_processes 1;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{basics}  server {{\n    listen {at} backlog=4096;\n    \
         location / {{ return 200 'ok'; }}\n  }}\n}}\n"
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, config)?;
    let args = ["-c", &file.display().to_string(), "-p", &home.to_string()];
    let mut server = Server::start(&site::program("nginx")?, &args, directory.join("log"))?;
    server.wait_for(&[at])?;
    Ok(server)
}

fn certificate(site: &Site) -> Result<Certificate> {
    let directory = site.directory("certificate")?;
    let file = |name: &str| directory.join(name);
    let (cert, key, both) = (file("cert.pem"), file("key.pem"), file("both.pem"));
    let (to_cert, to_key) = (cert.display().to_string(), key.display().to_string());
    let args = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost";
    let args: Vec<&str> = args.split(' ').chain(["-out", &to_cert, "-keyout", &to_key]).collect();
    server::run(&site::program("openssl")?, &args, Duration::from_secs(10))?;
    fs::write(&both, fs::read_to_string(&cert)? + &fs::read_to_string(&key)?)?;
    Ok(Certificate { cert, key, both })
}
