//! Sabot itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Protocol, Route, Start};
use crate::server::{self, Server};
use crate::site;

pub(super) fn start(start: &Start) -> Result<Server> {
    let proxies: Vec<Value> = start.routes.iter().map(|route| proxy(route, start)).collect();
    let file = start.home.join("sabot.json");
    fs::write(&file, Value::from(proxies).to_string())?;
    let (file, threads) = (file.display().to_string(), start.threads.to_string());
    let args = [
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--config",
        &file,
        "--workers",
        &threads,
        "--log-level",
        "warn",
    ];
    Server::start(&binary(start.sabot.as_deref())?, &args, start.home.join("log"))
}

fn proxy(route: &Route, start: &Start) -> Value {
    let mut proxy = json!({
        "name": route.name,
        "listen": route.listen.to_string(),
        "upstream": route.upstream.to_string(),
        "toxics": route.toxics,
    });
    if route.protocol != Protocol::Tcp {
        proxy["protocol"] = "http".into();
    }
    if route.protocol == Protocol::Https {
        let files = json!({ "cert": start.certificate.cert, "key": start.certificate.key });
        proxy["tls"] = json!({ "terminate": { "certificates": [files] } });
    }
    proxy
}

pub(super) fn version(start: &Start) -> Result<String> {
    let text = server::run(&binary(start.sabot.as_deref())?, &["--version"], Duration::from_secs(5))?;
    Ok(text.split_whitespace().last().unwrap_or_default().to_owned())
}

/// The named binary, or the release build.
///
/// # Errors
/// There is none; the error says how to build it.
pub fn binary(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(named) = named {
        return site::first_file(&[Some(named.to_owned())], "failed to find the binary that --sabot names");
    }
    let built = site::target().join("release").join("sabot");
    site::first_file(&[Some(built)], "failed to find sabot: cargo build --release -p sabot")
}
