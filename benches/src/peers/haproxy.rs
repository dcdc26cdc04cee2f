//! HAProxy in TCP mode, with its defaults and with splice(2) forced, and in HTTP mode.

use std::fs;
use std::time::Duration;

use anyhow::Result;

use super::{Protocol, Route, Start};
use crate::server::{self, Server};
use crate::site;

pub(super) fn plain(start: &Start) -> Result<Server> {
    run(start, 9_500, "")
}

/// `splice-auto` would not do: it decides by a heuristic that prefers copies.
pub(super) fn splice(start: &Start) -> Result<Server> {
    run(start, 4_000, "  option splice-request\n  option splice-response\n")
}

fn run(start: &Start, connections: usize, options: &str) -> Result<Server> {
    let threads = start.threads;
    let mut config = format!(
        "global\n  maxconn {connections}\n  nbthread {threads}\ndefaults\n  mode tcp\n  maxconn {connections}\n  \
         timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n{options}"
    );
    for route in &start.routes {
        config.push_str(&section(route, start));
    }
    let file = start.home.join("haproxy.cfg");
    fs::write(&file, config)?;
    let args = ["-db", "-f", &file.display().to_string()];
    Server::start(&site::program("haproxy")?, &args, start.home.join("log"))
}

fn section(route: &Route, start: &Start) -> String {
    let (name, listen, upstream) = (route.name, route.listen, route.upstream);
    let mode = if route.protocol == Protocol::Tcp { "" } else { "  mode http\n  http-reuse always\n" };
    let (bind, server) = match route.protocol {
        Protocol::Tcp | Protocol::Http1 => (String::new(), ""),
        Protocol::Http2 => (" proto h2".into(), ""),
        Protocol::Grpc => (" proto h2".into(), " proto h2"),
        Protocol::Https => (format!(" ssl crt {}", start.certificate.both.display()), ""),
    };
    format!("listen {name}\n{mode}  bind {listen}{bind}\n  server upstream {upstream}{server}\n")
}

pub(super) fn version(_: &Start) -> Result<String> {
    let text = server::run(&site::program("haproxy")?, &["-v"], Duration::from_secs(5))?;
    Ok(text.split_whitespace().nth(2).unwrap_or_default().to_owned())
}
