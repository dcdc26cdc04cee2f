//! Envoy's tcp_proxy filter.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Route, Start};
use crate::server::{self, Server};
use crate::site;

pub(super) fn start(start: &Start) -> Result<Server> {
    let listeners: Vec<Value> = start.routes.iter().map(listener).collect();
    let clusters: Vec<Value> = start.routes.iter().map(cluster).collect();
    let config = json!({ "static_resources": { "listeners": listeners, "clusters": clusters } });
    let file = start.home.join("envoy.json");
    fs::write(&file, config.to_string())?;
    let (file, threads) = (file.display().to_string(), start.threads.to_string());
    let args = ["-c", &file, "--concurrency", &threads, "--disable-hot-restart", "--log-level", "error"];
    Server::start(&binary()?, &args, start.home.join("log"))
}

fn listener(route: &Route) -> Value {
    let filter = json!({
        "name": "tcp",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": route.name,
            "cluster": route.name,
            "idle_timeout": "0s",
        },
    });
    json!({ "name": route.name, "address": address(route.listen), "filter_chains": [{ "filters": [filter] }] })
}

fn cluster(route: &Route) -> Value {
    let endpoint = json!({ "endpoint": { "address": address(route.upstream) } });
    // The breaker of Envoy's defaults opens at 1024 connections.
    let limits = json!({ "max_connections": 100_000, "max_pending_requests": 100_000 });
    json!({
        "name": route.name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "circuit_breakers": { "thresholds": [limits] },
        "load_assignment": { "cluster_name": route.name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
    })
}

fn address(at: SocketAddr) -> Value {
    json!({ "socket_address": { "address": at.ip().to_string(), "port_value": at.port() } })
}

pub(super) fn version(_: &Start) -> Result<String> {
    let text = server::run(&binary()?, &["--version"], Duration::from_secs(10))?;
    Ok(text.split('/').nth_back(3).unwrap_or_default().to_owned())
}

fn binary() -> Result<PathBuf> {
    let installed = site::target().join("bench").join("envoy");
    let candidates =
        [std::env::var_os("ENVOY").map(PathBuf::from), Some(installed), site::program("envoy").ok()];
    site::first_file(&candidates, "failed to find envoy: run benches/setup.sh, or set ENVOY")
}
