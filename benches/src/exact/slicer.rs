//! Slices with a pause after each: how long a message of 64 of them takes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::{Bench, Row};
use crate::load::{echo, ping};
use crate::statistics::median;

const SLICES: usize = 64;
const SIZE: usize = 16;
const PAUSE_US: u32 = 100;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let proxy = bench.api.proxy("slicer", echo::start()?)?;
    proxy.toxic("slicer", 1.0, &json!({ "average_size": SIZE, "size_variation": 0, "delay": PAUSE_US }))?;
    let mut stream = ping::connect(proxy.listen)?;
    let times = bench.quiet.measure(|| times(&mut stream, bench.times(60)))?;
    let row =
        Row::new("slicer, 64 slices of 16 B, 100 µs (ideal 6.4 ms)", "whole message, ms", median(&times), 2);
    Ok(vec![row.at_most(7.5).toxiproxy("69")])
}

fn times(stream: &mut TcpStream, count: u32) -> Result<Vec<f64>> {
    let mut message = [3; SLICES * SIZE];
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        // The pause after the last slice belongs to this message, not to the next.
        thread::sleep(Duration::from_millis(5));
    }
    Ok(times)
}
