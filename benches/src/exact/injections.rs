//! Injections: how soon a revert and an end reach connections, and how fast a journal is read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use sabot_injections::book::Record;
use sabot_injections::clock::Moment;
use sabot_injections::event::{Actor, Event};
use sabot_injections::injection::Ending;
use sabot_injections::journal::Journal;
use serde_json::{Value, json};

use super::{Bench, Row};
use crate::api::Proxy;
use crate::load::{echo, idle};
use crate::statistics::{median, percentile};

const CONNECTIONS: usize = 1000;
const MESSAGE: [u8; 64] = [7; 64];
/// How long messages may be away before they are given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// The injection of a latency on one proxy.
pub(super) fn latency(proxy: &Proxy<'_>, duration_seconds: f64) -> Value {
    json!({
        "target": {"service": proxy.name(), "max_targets": 1},
        "fault": {"type": "latency", "latency": 600_000},
        "duration_seconds": duration_seconds,
        "steady_state": {"slo": "connections", "min": 0.001, "abort_after": 3600},
        "hypothesis": "what is held comes out when the fault is taken back", "owner": "benchmark",
    })
}

/// Messages that a fault holds on all connections come out when it goes.
pub(super) fn ends(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let echo = echo::start()?;
    let proxy = bench.api.proxy("ends", echo)?;
    let mut connections = idle::open(proxy.listen, CONNECTIONS)?;
    let mut session = bench.api.session()?;
    let (mut reverts, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..bench.times(8).max(3) {
        let made = session.ask("POST", "/injections", Some(&latency(&proxy, 60.0)))?;
        let path = format!("/injections/{}", made["id"].as_str().context("no id")?);
        say(&mut connections)?;
        let decided = Instant::now();
        let ended = thread::scope(|scope| {
            let asked = scope.spawn(|| session.ask("DELETE", &path, None));
            let last = last_arrival(&connections)?;
            asked.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
            anyhow::Ok(last)
        })?;
        reverts.push((ended - decided).as_secs_f64() * 1e3);
    }
    for _ in 0..bench.times(8).max(3) {
        let made = session.ask("POST", "/injections", Some(&latency(&proxy, 0.5)))?;
        let end: jiff::Timestamp = made["ends_at"].as_str().context("no end")?.parse()?;
        say(&mut connections)?;
        let last = last_arrival(&connections)?;
        let late = jiff::Timestamp::try_from(SystemTime::now() - last.elapsed())?.duration_since(end);
        ends.push(late.as_secs_f64() * 1e3);
    }
    let asked = format!("revert, {CONNECTIONS} connections that hold a message");
    let dead_man = format!("end of its time, {CONNECTIONS} connections that hold a message");
    Ok(vec![
        Row::new(&*asked, "asked to last message out, p50, ms", median(&reverts), 1).at_most(10.0),
        Row::new(asked, "the slowest, ms", percentile(&reverts, 1.0), 1),
        Row::new(&*dead_man, "late, last message out, p50, ms", median(&ends), 1).at_most(50.0),
        Row::new(dead_man, "the latest, ms", percentile(&ends, 1.0), 1).at_most(50.0),
    ])
}

fn say(connections: &mut [TcpStream]) -> Result<()> {
    connections.iter_mut().try_for_each(|stream| stream.write_all(&MESSAGE))?;
    // They have to be at the fault before it goes.
    thread::sleep(Duration::from_millis(200));
    Ok(())
}

/// When the last of them had its message back.
fn last_arrival(connections: &[TcpStream]) -> Result<Instant> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, stream) in connections.iter().enumerate() {
        epoll::add(&poll, stream, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
    }
    let (mut left, mut events) = (vec![MESSAGE.len(); connections.len()], Vec::with_capacity(256));
    let (mut open, until) = (connections.len(), Instant::now() + PATIENCE);
    let tick = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    let mut last = Instant::now();
    while open > 0 {
        ensure!(Instant::now() < until, "{open} messages did not come back");
        match epoll::wait(&poll, spare_capacity(&mut events), Some(&tick)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let number = usize::try_from(event.data.u64())?;
            let mut bytes = [0; MESSAGE.len()];
            let count = (&connections[number]).read(&mut bytes)?;
            ensure!(count > 0 && count <= left[number], "a connection was closed, or said too much");
            left[number] -= count;
            if left[number] == 0 {
                open -= 1;
                last = Instant::now();
            }
        }
    }
    Ok(last)
}

const EVENTS: u64 = 100_000;

/// A journal is read and checked, as a start of the server does.
pub(super) fn replay(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut journal = Journal::open(Some(folder.path()))?;
    let record = |number: u64| {
        let (id, reason) = (format!("inj-{:012}", number / 2), "its time was up".to_owned());
        let event = if number.is_multiple_of(2) {
            Event::Started { id, duration_ms: 1000, steady_ms: number, boot: "boot".to_owned() }
        } else {
            Event::Ended { id, state: Ending::Completed, reason, breach: None }
        };
        let at = Moment { wall_ms: 1_800_000_000_000 + number, steady_ms: number };
        Record { at, actor: Actor::new("oncall@example.com", "127.0.0.1"), event }
    };
    for first in (0..EVENTS).step_by(10_000) {
        journal.append(&(first..first + 10_000).map(record).collect::<Vec<_>>())?;
    }
    drop(journal);
    let times: Vec<f64> = (0..5)
        .map(|_| {
            bench.quiet.measure(|| {
                let began = Instant::now();
                let mut count = 0;
                let verified = Journal::open(Some(folder.path()))?.replay(|_| count += 1)?;
                ensure!(verified.events == EVENTS && count == EVENTS, "events are missing");
                Ok(began.elapsed().as_secs_f64())
            })
        })
        .collect::<Result<_>>()?;
    Ok(vec![
        Row::new(format!("a journal of {EVENTS} events"), "read and checked, s", median(&times), 2)
            .at_most(1.0),
    ])
}
