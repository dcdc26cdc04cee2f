//! A proxy whose toxics change all the time. None of them loses bytes; two delay
//! accept and dial.

use std::io::BufRead;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use sabot_proxy::{Controller, Options, Proxy, ToxicPatch, json};
use sabot_toxics::{Seed, ToxicSpec};
use serde_json::Value;

use crate::talk::{ARGUMENT, say, setting};

/// From one change to the next. Each one reaches all connections.
const PACE: Duration = Duration::from_millis(50);

/// Names that toxics have: at most so many at once.
const SLOTS: u64 = 5;

const NAME: &str = "proxy";

pub(crate) fn run() {
    let seed = setting("SABOT_SEED", 1);
    let options = Options { seed, workers: Some(2), ..Options::default() };
    let proxy = Proxy::with(std::env::var(ARGUMENT).unwrap(), &options).unwrap();
    say(proxy.addr());
    let asked = questions();
    let mut step = 0;
    loop {
        match asked.recv_timeout(PACE) {
            Err(RecvTimeoutError::Timeout) => {
                change(proxy.controller(), &Seed::new(seed), step);
                step += 1;
            }
            Ok(()) => say(report(&proxy)),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Each line that the parent says; the end of them when it has ended.
fn questions() -> Receiver<()> {
    let (ask, asked) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || ask.send(()).is_err() {
                return;
            }
        }
    });
    asked
}

/// Adds, changes or removes one toxic.
fn change(controller: &Controller, seed: &Seed, step: u64) {
    let mut draws = seed.at(step);
    let name = format!("t{}", draws.below(SLOTS));
    let outcome = match controller.toxic(NAME, &name) {
        Err(_) => {
            let stream = if draws.chance(0.5) { "upstream" } else { "downstream" };
            let (kind, attributes) = draw(&mut draws, None);
            let toxicity = 0.2 + 0.8 * draws.unit();
            let spec = json!({"name": name, "type": kind, "stream": stream, "toxicity": toxicity,
                "attributes": attributes});
            controller.add_toxic(NAME, serde_json::from_value::<ToxicSpec>(spec).unwrap()).map(drop)
        }
        Ok(_) if draws.chance(0.5) => controller.remove_toxic(NAME, &name),
        Ok(toxic) => {
            let (_, attributes) = draw(&mut draws, Some(toxic.kind.name));
            let patch = ToxicPatch { attributes: attributes.as_object().cloned(), ..ToxicPatch::default() };
            controller.update_toxic(NAME, &name, patch).map(drop)
        }
    };
    outcome.unwrap();
}

/// A kind, that one or any, and attributes for it.
fn draw(draws: &mut sabot_toxics::seed::Draws, kind: Option<&str>) -> (String, Value) {
    let mut some = |most: u64| draws.below(most + 1);
    let kinds = [
        ("latency", json!({"latency": some(20), "jitter": some(5)})),
        ("bandwidth", json!({"rate": 5_000 + some(50_000)})),
        ("slicer", json!({"average_size": 200 + some(4000), "size_variation": some(100), "delay": some(50)})),
        ("slow_close", json!({"delay": some(20)})),
        ("stall", json!({"duration": some(20), "at": some(5000)})),
        ("noop", json!({})),
        ("accept_delay", json!({"delay": some(10)})),
        ("connect_delay", json!({"delay": some(10)})),
    ];
    let chosen = match kind {
        Some(kind) => kinds.iter().find(|(name, _)| *name == kind),
        None => kinds.get(some(kinds.len() as u64 - 1) as usize),
    };
    let (kind, attributes) = chosen.unwrap().clone();
    (kind.to_owned(), attributes)
}

/// How the process stands without toxics and connections.
fn report(proxy: &Proxy) -> Value {
    let controller = proxy.controller();
    for toxic in controller.proxy(NAME).unwrap().toxics {
        controller.remove_toxic(NAME, &toxic.name).unwrap();
    }
    let idle = || controller.totals()[0].open_connections == 0;
    let until = Instant::now() + Duration::from_secs(20);
    while !idle() && Instant::now() < until {
        std::thread::yield_now();
    }
    let totals = controller.totals().remove(0);
    json!({
        "open": totals.open_connections,
        "total": totals.total_connections,
        "failed": totals.failed,
        "accept_errors": totals.accept_errors,
        "held": totals.held_bytes,
        "tasks": controller.tasks(),
        "descriptors": descriptors(false),
        "pipes": descriptors(true),
        "resident_kb": resident_kb(),
    })
}

/// Open descriptors: those of pipes, of which each worker keeps a few for reuse, or all others.
fn descriptors(pipes: bool) -> usize {
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = all.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("pipe:") == pipes).count()
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
