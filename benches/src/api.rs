//! As much of Toxiproxy's API as a measurement needs, by hand: any server that
//! speaks it can be measured, and nothing but sockets stands in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(10);

/// A server with Toxiproxy's API.
pub struct Api {
    address: SocketAddr,
}

/// A proxy made for a measurement; deleted when dropped.
pub struct Proxy<'a> {
    api: &'a Api,
    name: String,
    /// Where it listens.
    pub listen: SocketAddr,
}

impl Api {
    /// The server at `http://host:port` or `host:port`.
    ///
    /// # Errors
    /// The name cannot be resolved.
    pub fn at(url: &str) -> Result<Self> {
        let host = url.trim_start_matches("http://").trim_end_matches('/');
        let mut found = host.to_socket_addrs().with_context(|| format!("failed to resolve {host}"))?;
        let address = found.next().with_context(|| format!("failed to resolve {host}"))?;
        Ok(Self { address })
    }

    /// A connection that is kept.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn session(&self) -> Result<Session> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)
            .with_context(|| format!("failed to reach the API at {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Session { stream: BufReader::new(stream), host: self.address.to_string() })
    }

    /// What it answers to `GET /version`.
    ///
    /// # Errors
    /// It does not answer.
    pub fn version(&self) -> Result<Value> {
        self.call("GET", "/version", None)
    }

    /// Whether it knows HTTP proxies: whether it is Sabot.
    ///
    /// # Errors
    /// It does not answer.
    pub fn knows_http(&self) -> Result<bool> {
        Ok(self.version()?["sabot"].is_string())
    }

    /// A new proxy on a free port.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn proxy(&self, name: &str, upstream: SocketAddr) -> Result<Proxy<'_>> {
        self.create(name, upstream, "tcp")
    }

    /// A new proxy on a free port that sees requests.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn http_proxy(&self, name: &str, upstream: SocketAddr) -> Result<Proxy<'_>> {
        self.create(name, upstream, "http")
    }

    fn create(&self, name: &str, upstream: SocketAddr, protocol: &str) -> Result<Proxy<'_>> {
        let (name, listen) = (format!("fidelity-{name}"), "127.0.0.1:0");
        let mut asked = json!({ "name": name, "listen": listen, "upstream": upstream.to_string() });
        if protocol != "tcp" {
            asked["protocol"] = protocol.into();
        }
        let made = self.call("POST", "/proxies", Some(&asked))?;
        let listen = made["listen"].as_str().and_then(|listen| listen.parse().ok());
        let listen = listen.with_context(|| format!("failed to find the address in {made}"))?;
        Ok(Proxy { api: self, name, listen })
    }

    /// HTTP/1.0, so that the answer ends where the connection ends.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map_or_else(String::new, Value::to_string);
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)
            .with_context(|| format!("failed to reach the API at {}", self.address))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + &body).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("failed to understand the API's answer")?;
        let good = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
        ensure!(good, "{method} {path} was answered: {answer}");
        Ok(if body.trim().is_empty() { Value::Null } else { serde_json::from_str(body)? })
    }
}

/// A connection to the API that is kept: for many calls.
pub struct Session {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Session {
    /// One call.
    ///
    /// # Errors
    /// It is refused, or the answer cannot be understood.
    pub fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map_or_else(String::new, Value::to_string);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all((head + &body).as_bytes())?;
        let (mut status, mut length, mut line) = (String::new(), 0, String::new());
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "the API closed the connection");
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if status.is_empty() {
                status = text.split(' ').nth(1).unwrap_or_default().to_owned();
            } else if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(status.starts_with('2'), "{method} {path} was answered {status}: {answer}");
        Ok(if answer.trim().is_empty() { Value::Null } else { serde_json::from_str(&answer)? })
    }
}

impl Proxy<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a toxic to the downstream.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn toxic(&self, kind: &str, toxicity: f64, attributes: &Value) -> Result<()> {
        let asked =
            json!({ "type": kind, "stream": "downstream", "toxicity": toxicity, "attributes": attributes });
        self.api.call("POST", &format!("/proxies/{}/toxics", self.name), Some(&asked)).map(drop)
    }
}

impl Drop for Proxy<'_> {
    fn drop(&mut self) {
        // The measurement is over; a proxy that stays is the server's to report.
        let _ = self.api.call("DELETE", &format!("/proxies/{}", self.name), None);
    }
}
