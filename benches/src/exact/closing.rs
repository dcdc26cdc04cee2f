//! Faults that end a connection: how late the end comes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::{Bench, Row};
use crate::load::{echo, ping};
use crate::statistics::percentile;

const AFTER_MS: u32 = 50;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let mut rows = ended_by(bench, "reset_peer", "timeout", reset)?;
    rows.extend(ended_by(bench, "timeout", "timeout", closed)?);
    rows.extend(slow_close(bench)?);
    Ok(rows)
}

/// Connections that the toxic itself ends, counted from the moment they stand.
fn ended_by(
    bench: &Bench<'_>,
    kind: &str,
    attribute: &str,
    wait: fn(&mut TcpStream) -> Result<()>,
) -> Result<Vec<Row>> {
    let proxy = bench.api.proxy(kind, echo::start()?)?;
    proxy.toxic(kind, 1.0, &json!({ attribute: AFTER_MS }))?;
    let one = || {
        let mut stream = ping::connect(proxy.listen)?;
        let start = Instant::now();
        // Toxiproxy does not look at a connection that says nothing.
        stream.write_all(b"?")?;
        wait(&mut stream).with_context(|| format!("failed to see {kind}"))?;
        Ok(start.elapsed().as_secs_f64() * 1e3 - f64::from(AFTER_MS))
    };
    let lateness = several(bench, one)?;
    Ok(late(format!("{kind} after {AFTER_MS} ms"), &lateness))
}

fn slow_close(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let (upstream, closed_at) = leaving()?;
    let proxy = bench.api.proxy("slow_close", upstream)?;
    proxy.toxic("slow_close", 1.0, &json!({ "delay": AFTER_MS }))?;
    let one = || {
        let mut stream = ping::connect(proxy.listen)?;
        stream.write_all(b"?")?;
        closed(&mut stream)?;
        let now = Instant::now();
        let left = closed_at.recv_timeout(Duration::from_secs(5))?;
        Ok((now - left).as_secs_f64() * 1e3 - f64::from(AFTER_MS))
    };
    let lateness = several(bench, one)?;
    Ok(late(format!("slow_close {AFTER_MS} ms"), &lateness))
}

fn several(bench: &Bench<'_>, one: impl Fn() -> Result<f64>) -> Result<Vec<f64>> {
    bench.quiet.measure(|| (0..bench.times(40)).map(|_| one()).collect())
}

/// A server that closes at the first byte and tells when; it lives as long as the process.
fn leaving() -> Result<(SocketAddr, Receiver<Instant>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (tell, told) = channel();
    thread::Builder::new().name("leaving".into()).spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0]);
            let now = Instant::now();
            drop(stream);
            if tell.send(now).is_err() {
                return;
            }
        }
    })?;
    Ok((address, told))
}

fn late(asked: String, lateness: &[f64]) -> Vec<Row> {
    vec![
        Row::new(&*asked, "late p50, ms", percentile(lateness, 0.5), 3),
        Row::new(asked, "late p99, ms", percentile(lateness, 0.99), 3),
    ]
}

fn closed(stream: &mut TcpStream) -> Result<()> {
    let mut buffer = [0; 64];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

fn reset(stream: &mut TcpStream) -> Result<()> {
    match closed(stream) {
        Ok(()) => bail!("the connection was closed in order"),
        Err(error) => {
            let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            ensure!(kind == Some(ErrorKind::ConnectionReset), "{error:#}");
            Ok(())
        }
    }
}
