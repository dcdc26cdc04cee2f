//! Envoy's tcp_proxy filter, and its HTTP connection manager with the fault filter
//! loaded, which is what Sabot's HTTP mode stands in for.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Protocol, Route, Start};
use crate::server::{self, Server};
use crate::site;

pub(super) fn start(start: &Start) -> Result<Server> {
    let listeners: Vec<Value> = start.routes.iter().map(|route| listener(route, start)).collect();
    let clusters: Vec<Value> = start.routes.iter().map(cluster).collect();
    let config = json!({ "static_resources": { "listeners": listeners, "clusters": clusters } });
    let file = start.home.join("envoy.json");
    fs::write(&file, config.to_string())?;
    let (file, threads) = (file.display().to_string(), start.threads.to_string());
    let args = ["-c", &file, "--concurrency", &threads, "--disable-hot-restart", "--log-level", "error"];
    Server::start(&binary()?, &args, start.home.join("log"))
}

fn listener(route: &Route, start: &Start) -> Value {
    let filter = if route.protocol == Protocol::Tcp { tcp_filter(route) } else { http_filter(route) };
    let mut chain = json!({ "filters": [filter] });
    if route.protocol == Protocol::Https {
        let file = |file: &Path| json!({ "filename": file });
        let certificate = json!({
            "certificate_chain": file(&start.certificate.cert),
            "private_key": file(&start.certificate.key),
        });
        let context = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": { "tls_certificates": [certificate] },
        });
        chain["transport_socket"] = json!({ "name": "tls", "typed_config": context });
    }
    json!({ "name": route.name, "address": address(route.listen), "filter_chains": [chain] })
}

fn tcp_filter(route: &Route) -> Value {
    json!({
        "name": "tcp",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": route.name,
            "cluster": route.name,
            "idle_timeout": "0s",
        },
    })
}

/// With its defaults: no access log, and the client's protocol found out.
fn http_filter(route: &Route) -> Value {
    const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters";
    let http = |name: &str, of: &str| {
        json!({
            "name": format!("envoy.filters.http.{name}"),
            "typed_config": { "@type": format!("{FILTERS}.http.{of}") },
        })
    };
    let way = json!({ "match": { "prefix": "/" }, "route": { "cluster": route.name, "timeout": "0s" } });
    json!({
        "name": "http",
        "typed_config": {
            "@type": format!("{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": route.name,
            "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [way] }] },
            "http_filters": [http("fault", "fault.v3.HTTPFault"), http("router", "router.v3.Router")],
        },
    })
}

fn cluster(route: &Route) -> Value {
    let endpoint = json!({ "endpoint": { "address": address(route.upstream) } });
    // The breaker of Envoy's defaults opens at 1024 connections.
    let limits =
        json!({ "max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000 });
    let mut cluster = json!({
        "name": route.name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "circuit_breakers": { "thresholds": [limits] },
        "load_assignment": { "cluster_name": route.name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
    });
    if route.protocol == Protocol::Grpc {
        let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        cluster["typed_extension_protocol_options"][options] = json!({
            "@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": { "http2_protocol_options": {} },
        });
    }
    cluster
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
