//! nginx's stream module, and its HTTP modules.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{Protocol, Route, Start};
use crate::server::{self, Server};
use crate::services::Certificate;
use crate::site;

/// Where Debian puts the module; elsewhere it is usually built in.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

pub(super) fn start(start: &Start) -> Result<Server> {
    let home = start.home.display();
    let mut config = String::new();
    if Path::new(MODULE).exists() {
        writeln!(config, "load_module {MODULE};")?;
    }
    write!(
        config,
        "daemon off;\npid {home}/pid;\nerror_log {home}/errors error;\nworker_processes {};\n\
         events {{ worker_connections 20000; }}\nstream {{\n  proxy_timeout 1h;\n",
        start.threads
    )?;
    let (tcp, http): (Vec<&Route>, Vec<&Route>) =
        start.routes.iter().partition(|route| route.protocol == Protocol::Tcp);
    for route in tcp {
        let (listen, upstream) = (route.listen, route.upstream);
        writeln!(config, "  server {{ listen {listen} backlog=4096; proxy_pass {upstream}; }}")?;
    }
    config.push_str("}\n");
    if !http.is_empty() {
        let servers: String = http.iter().map(|route| server_block(route, &start.certificate)).collect();
        writeln!(config, "http {{\n{}{servers}}}", http_basics(&start.home))?;
    }
    let file = start.home.join("nginx.conf");
    fs::write(&file, config)?;
    let args = ["-c", &file.display().to_string(), "-p", &home.to_string()];
    Server::start(&site::program("nginx")?, &args, start.home.join("log"))
}

/// What an HTTP server needs that is measured and not run as root: no log, connections
/// that stay, scratch directories of its own.
pub(crate) fn http_basics(home: &Path) -> String {
    let home = home.display();
    let scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let scratch = scratch.map(|name| format!("  {name}_temp_path {home}/{name};\n")).concat();
    format!("  access_log off;\n  keepalive_requests {FOR_EVER};\n{scratch}")
}

/// Closes no connection after the thousandth request: h2load makes none anew.
const FOR_EVER: u32 = 1_000_000_000;

fn server_block(route: &Route, certificate: &Certificate) -> String {
    let (name, listen, upstream) = (route.name, route.listen, route.upstream);
    let (options, further) = match route.protocol {
        Protocol::Tcp | Protocol::Http1 => ("", String::new()),
        Protocol::Http2 | Protocol::Grpc => (" http2", String::new()),
        Protocol::Https => {
            let Certificate { cert, key, .. } = certificate;
            let files = format!("ssl_certificate {}; ssl_certificate_key {};", cert.display(), key.display());
            (" ssl", files)
        }
    };
    let pass = match route.protocol {
        Protocol::Grpc => format!("grpc_pass grpc://{name};"),
        _ => format!("proxy_pass http://{name}; proxy_http_version 1.1; proxy_set_header Connection \"\";"),
    };
    format!(
        "  upstream {name} {{ server {upstream}; keepalive 256; keepalive_requests {FOR_EVER}; }}\n  \
         server {{ listen {listen}{options} backlog=4096; {further} location / {{ {pass} }} }}\n"
    )
}

/// nginx writes its version to stderr, so a shell has to turn it round.
pub(super) fn version(_: &Start) -> Result<String> {
    let command = format!("{} -v 2>&1", site::program("nginx")?.display());
    let text = server::run(&site::program("sh")?, &["-c", &command], Duration::from_secs(5))?;
    Ok(text.trim().rsplit('/').next().unwrap_or_default().to_owned())
}
