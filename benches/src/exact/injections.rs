//! Injections: how soon a revert and an end reach connections, and what many of them cost others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
use crate::api::{Proxy, Session};
use crate::load::paced::{Message, Pace};
use crate::load::{echo, idle};
use crate::statistics::{median, percentile};

const CONNECTIONS: usize = 1000;
const MESSAGE: [u8; 64] = [7; 64];
/// How long messages may be away before they are given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// The injection of a latency on one proxy.
fn latency(proxy: &Proxy<'_>, duration_seconds: f64) -> Value {
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

const RATE: u64 = 1000;
const CLIENTS: u64 = 4;

/// Injections that come and go at a rate, on proxies of their own, next to a load on another proxy.
pub(super) fn many(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let echo = echo::start()?;
    let loaded = bench.api.proxy("loaded", echo)?;
    let idle: Vec<_> =
        (0..CLIENTS).map(|client| bench.api.proxy(&format!("idle-{client}"), echo)).collect::<Result<_>>()?;
    let pace = Pace {
        message: Message::Echo,
        connections: 300,
        interval: Duration::from_millis(50),
        time: bench.seconds(3.0),
        patience: Duration::from_secs(2),
    };
    let (mut without, mut asking, mut with) = (Vec::new(), Vec::new(), Vec::new());
    let mut rates = Vec::new();
    for _ in 0..7 {
        without.push(percentile(&bench.round_trips(loaded.listen, pace)?, 0.5));
        let load = || bench.round_trips(loaded.listen, pace);
        let (trips, _) = beside(&idle, bench, ask_for_nothing, load)?;
        asking.push(percentile(&trips, 0.5));
        let (trips, rate) = beside(&idle, bench, come_and_go, load)?;
        with.push(percentile(&trips, 0.5));
        rates.push(rate);
    }
    let asked = format!("{RATE} injections a second beside a load of 6000 messages a second");
    Ok(vec![
        Row::new(&*asked, "created and ended a second", median(&rates), 0).between(0.99 * RATE as f64, 1e6),
        Row::new(&*asked, "round trip p50 of the load, ms", median(&with), 3),
        Row::new(&*asked, "the same without them, ms", median(&without), 3),
        Row::new(&*asked, "the same beside as many requests for nothing, ms", median(&asking), 3),
        Row::new(&*asked, "ratio", median(&with) / median(&without), 3).at_most(1.02),
        Row::new(asked, "ratio to requests for nothing", median(&with) / median(&asking), 3),
    ])
}

/// What a client does at its rate, and what it needs for that.
type Ask = fn(&mut Session, &Value) -> Result<()>;

/// Does something while clients ask; and how often they did in a second.
fn beside<T>(
    proxies: &[Proxy<'_>],
    bench: &Bench<'_>,
    ask: Ask,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, f64)> {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = proxies
            .iter()
            .map(|proxy| {
                let mut session = bench.api.session()?;
                let (stop, done) = (&stop, &done);
                let body = latency(proxy, 60.0);
                Ok(scope.spawn(move || again_and_again(&mut session, &body, ask, began, stop, done)))
            })
            .collect::<Result<_>>()?;
        let outcome = work();
        stop.store(true, Ordering::Relaxed);
        let took = began.elapsed().as_secs_f64();
        for client in clients {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok((outcome?, done.load(Ordering::Relaxed) as f64 / took))
    })
}

/// An injection comes and goes.
fn come_and_go(session: &mut Session, body: &Value) -> Result<()> {
    let made = session.ask("POST", "/injections", Some(body))?;
    let path = format!("/injections/{}", made["id"].as_str().context("no id")?);
    session.ask("DELETE", &path, None)?;
    Ok(())
}

/// As many requests, of which nothing comes.
fn ask_for_nothing(session: &mut Session, _: &Value) -> Result<()> {
    session.ask("GET", "/version", None)?;
    session.ask("GET", "/version", None)?;
    Ok(())
}

fn again_and_again(
    session: &mut Session,
    body: &Value,
    ask: Ask,
    began: Instant,
    stop: &AtomicBool,
    done: &AtomicU64,
) -> Result<()> {
    let interval = Duration::from_secs(1) / u32::try_from(RATE / CLIENTS)?;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep((interval * number).saturating_sub(began.elapsed()));
        ask(session, body)?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
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
