//! What lies behind the proxies: Redis, an HTTP server, iperf3 and an echo server.

use std::fs;
use std::net::SocketAddr;

use anyhow::Result;

use crate::load::{echo, redis};
use crate::server::Server;
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
    _servers: Vec<Server>,
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
        Ok(Self { redis, bulk, http, echo: echo::start()?, _servers: servers })
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
    // Its scratch directories are named so that it starts without root's.
    let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("  {name}_temp_path {home}/{name};\n"))
        .collect();
    let config = format!(
        "daemon off;\npid {home}/pid;\nerror_log {home}/errors warn;\nworker_processes 1;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n{scratch}  server {{\n    listen {at} backlog=4096;\n    \
         location / {{ return 200 'ok'; }}\n  }}\n}}\n"
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, config)?;
    let args = ["-c", &file.display().to_string(), "-p", &home.to_string()];
    let mut server = Server::start(&site::program("nginx")?, &args, directory.join("log"))?;
    server.wait_for(&[at])?;
    Ok(server)
}
