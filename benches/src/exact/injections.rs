//! Injections: how soon a revert and an end reach connections, and how fast a journal is read.

use std::io::{IoSliceMut, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{self, ControlMessageOwned, MsgFlags, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
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
/// How long after an end all have come.
const SETTLED: Duration = Duration::from_millis(100);

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
    for stream in &connections {
        setsockopt(stream, sockopt::ReceiveTimestampns, &true)?;
    }
    let mut session = bench.api.session()?;
    let (mut reverts, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..bench.times(8).max(3) {
        let made = session.ask("POST", "/injections", Some(&latency(&proxy, 60.0)))?;
        let path = format!("/injections/{}", made["id"].as_str().context("no id")?);
        say(&mut connections)?;
        let asked = SystemTime::now();
        session.ask("DELETE", &path, None)?;
        reverts.push(ms_since(asked, last_arrival(&connections)?));
    }
    for _ in 0..bench.times(8).max(3) {
        let made = session.ask("POST", "/injections", Some(&latency(&proxy, 0.5)))?;
        let end: jiff::Timestamp = made["ends_at"].as_str().context("no end")?.parse()?;
        say(&mut connections)?;
        thread::sleep(SystemTime::from(end).duration_since(SystemTime::now()).unwrap_or_default());
        ends.push(ms_since(end.into(), last_arrival(&connections)?));
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

fn ms_since(before: SystemTime, after: SystemTime) -> f64 {
    after
        .duration_since(before)
        .map_or_else(|early| -early.duration().as_secs_f64(), |late| late.as_secs_f64())
        * 1e3
}

/// When the last of them had its message back, by the clock of the system.
fn last_arrival(connections: &[TcpStream]) -> Result<SystemTime> {
    // Who reads stands for other machines, and leaves the cores to the server while that needs them: the
    // kernel notes when each message was there to be read.
    thread::sleep(SETTLED);
    let mut last = UNIX_EPOCH;
    let mut control = nix::cmsg_space!(TimeSpec);
    for stream in connections {
        let mut left = MESSAGE.len();
        while left > 0 {
            let mut bytes = [0; MESSAGE.len()];
            let mut parts = [IoSliceMut::new(&mut bytes[..left])];
            let read =
                socket::recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())
                    .context("a message did not come back")?;
            ensure!(read.bytes > 0, "a connection was closed");
            left -= read.bytes;
            let arrived = read.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(at) => Some(UNIX_EPOCH + Duration::from(at)),
                _ => None,
            });
            last = last.max(arrived.context("the kernel does not say when it came")?);
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
