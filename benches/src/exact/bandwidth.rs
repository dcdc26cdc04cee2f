//! A rate: how much comes through, and how evenly.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Bench, Row};
use crate::load::ping;

const RATES_KB_PER_S: [u32; 5] = [10, 100, 1_000, 5_000, 20_000];
/// The rate at which gaps are looked at.
const EVEN_KB_PER_S: u32 = 100;
/// What comes first may be a burst that buffers let through.
const WARM_UP: Duration = Duration::from_millis(300);

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let source = source()?;
    let mut rows = Vec::new();
    for rate in RATES_KB_PER_S {
        let proxy = bench.api.proxy("bandwidth", source)?;
        proxy.toxic("bandwidth", 1.0, &json!({ "rate": rate }))?;
        let reads = bench.quiet.measure(|| reads(proxy.listen, bench.seconds(4.0)))?;
        let asked = format!("bandwidth {rate} KB/s");
        let share = bytes_per_s(&reads) / (f64::from(rate) * 1e3);
        rows.push(
            Row::new(&*asked, "share of the rate", share, 4).between(0.99, 1.01).toxiproxy("1.047–0.998"),
        );
        if rate == EVEN_KB_PER_S {
            rows.push(
                Row::new(asked, "longest gap, ms", longest_gap_ms(&reads), 2).at_most(12.0).toxiproxy("100"),
            );
        }
    }
    Ok(rows)
}

/// A server that sends for as long as somebody reads; it lives as long as the process.
fn source() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("source".into()).spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || while stream.write_all(&[5; 64 * 1024]).is_ok() {});
        }
    })?;
    Ok(address)
}

struct Arrival {
    at: Instant,
    bytes: usize,
}

fn reads(from: SocketAddr, time: Duration) -> Result<Vec<Arrival>> {
    let mut stream: TcpStream = ping::connect(from)?;
    let mut buffer = vec![0; 256 * 1024];
    let start = Instant::now();
    let mut arrivals = Vec::new();
    while start.elapsed() < WARM_UP + time {
        let bytes = stream.read(&mut buffer)?;
        ensure!(bytes > 0, "the connection was closed");
        if start.elapsed() >= WARM_UP {
            arrivals.push(Arrival { at: Instant::now(), bytes });
        }
    }
    ensure!(arrivals.len() > 2, "next to nothing came through");
    Ok(arrivals)
}

/// What came after the first arrival, over the time from it to the last.
fn bytes_per_s(arrivals: &[Arrival]) -> f64 {
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else { return f64::NAN };
    let bytes: usize = arrivals.iter().skip(1).map(|each| each.bytes).sum();
    let bytes = bytes as f64;
    bytes / (last.at - first.at).as_secs_f64()
}

fn longest_gap_ms(arrivals: &[Arrival]) -> f64 {
    let gaps = arrivals.windows(2).map(|pair| pair[1].at - pair[0].at);
    gaps.max().unwrap_or_default().as_secs_f64() * 1e3
}
