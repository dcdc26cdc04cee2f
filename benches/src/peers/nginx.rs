//! nginx's stream module.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::Start;
use crate::server::{self, Server};
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
    for route in &start.routes {
        let (listen, upstream) = (route.listen, route.upstream);
        writeln!(config, "  server {{ listen {listen} backlog=4096; proxy_pass {upstream}; }}")?;
    }
    config.push_str("}\n");
    let file = start.home.join("nginx.conf");
    fs::write(&file, config)?;
    let args = ["-c", &file.display().to_string(), "-p", &home.to_string()];
    Server::start(&site::program("nginx")?, &args, start.home.join("log"))
}

/// nginx writes its version to stderr, so a shell has to turn it round.
pub(super) fn version(_: &Start) -> Result<String> {
    let command = format!("{} -v 2>&1", site::program("nginx")?.display());
    let text = server::run(&site::program("sh")?, &["-c", &command], Duration::from_secs(5))?;
    Ok(text.trim().rsplit('/').next().unwrap_or_default().to_owned())
}
