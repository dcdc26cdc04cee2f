//! What many injections cost a load beside them. All that is compared takes turns within each second of
//! one and the same load: from run to run, a round trip differs by more than they cost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

use super::injections::latency;
use super::{Bench, Row};
use crate::api::Session;
use crate::load::echo;
use crate::load::paced::{self, Message, Pace};
use crate::process;
use crate::statistics::{median, percentile};

const RATE: u64 = 1000;
const CLIENTS: u64 = 16;
/// The nice value of what comes after all else.
const LAST: i32 = 19;

/// What the clients do in turn, while the load goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Nothing,
    /// As many requests, of which nothing comes.
    Requests,
    Injections,
}

const PHASES: [Phase; 3] = [Phase::Nothing, Phase::Requests, Phase::Injections];
/// Each has its turn in so many seconds. What drifts on a machine takes longer; and what an injection leaves
/// to be done is done a second later, in the same phase.
const CYCLE: f64 = 1.0;
/// In this share of a phase, its first, there may be something left of the one before.
const BETWEEN: f64 = 0.25;

/// Which phase it is so long after the beginning, and how much of it is over.
fn phase(elapsed: Duration) -> (Phase, f64) {
    let turn = elapsed.as_secs_f64() / CYCLE % 1.0 * PHASES.len() as f64;
    (PHASES[turn as usize % PHASES.len()], turn.fract())
}

/// Injections that come and go at a rate, on proxies of their own, next to a load on another proxy.
pub(super) fn many(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let asked = format!("{RATE} injections a second beside a load of 6000 messages a second");
    let mut rows = beside(bench, &asked, None)?;
    if let Some(pid) = bench.pid
        && thread::available_parallelism()?.get() > 1
    {
        let apart = Apart::new(pid)?;
        let asked = format!("{asked}, the API and its clients on a core of their own");
        rows.extend(beside(bench, &asked, Some(&apart))?);
    }
    Ok(rows)
}

/// The threads of the server that no connection passes through.
const CONTROL: &[&str] = &["sabot-api", "sabot-journal"];

/// A core for the load, its generator and all that it passes through, and another for all else.
struct Apart {
    pid: u32,
    before: CpuSet,
    control: CpuSet,
}

impl Apart {
    fn new(pid: u32) -> Result<Self> {
        let before = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| before.is_set(*core)).map(|core| {
            let mut set = CpuSet::new();
            set.set(core);
            set
        });
        let (data, control) = cores.next().zip(cores.next()).context("it takes two cores")?;
        let apart = Self { pid, before, control };
        apart.place(|name| if CONTROL.contains(&name) { control } else { data })?;
        sched_setaffinity(None, &data)?;
        Ok(apart)
    }

    fn place(&self, core: impl Fn(&str) -> CpuSet) -> Result<()> {
        for (thread, name) in process::threads(self.pid) {
            sched_setaffinity(Pid::from_raw(thread.try_into()?), &core(&name))?;
        }
        Ok(())
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // Both were allowed before.
        let _ = self.place(|_| self.before);
        let _ = sched_setaffinity(None, &self.before);
    }
}

fn beside(bench: &Bench<'_>, asked: &str, apart: Option<&Apart>) -> Result<Vec<Row>> {
    let name = if apart.is_some() { "apart" } else { "shared" };
    let echo = echo::start()?;
    let loaded = bench.api.proxy(&format!("loaded-{name}"), echo)?;
    let idle = |client| bench.api.proxy(&format!("idle-{name}-{client}"), echo);
    let idle: Vec<_> = (0..CLIENTS).map(idle).collect::<Result<_>>()?;
    let cycles = bench.times(48);
    let pace = Pace {
        message: Message::Echo,
        connections: 300,
        interval: Duration::from_millis(50),
        time: Duration::from_secs_f64(CYCLE * f64::from(cycles)),
        patience: Duration::from_secs(2),
    };
    let (trips, count, cost) = bench.quiet.measure(|| {
        let before = control_cpu(bench);
        let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let began = Instant::now();
        let trips = thread::scope(|scope| {
            let clients: Vec<_> = idle
                .iter()
                .zip(0..)
                .map(|(proxy, client)| {
                    let mut session = bench.api.session()?;
                    let (stop, done) = (&stop, &done);
                    let body = latency(proxy, 60.0);
                    Ok(scope.spawn(move || {
                        // It stands for other machines: it leaves the cores to what is measured.
                        setpriority_process(None, LAST)?;
                        if let Some(apart) = apart {
                            sched_setaffinity(None, &apart.control)?;
                        }
                        again_and_again(&mut session, &body, client, began, stop, done)
                    }))
                })
                .collect::<Result<_>>()?;
            let trips = paced::trips(loaded.listen, pace);
            stop.store(true, Ordering::Relaxed);
            for client in clients {
                client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            }
            trips
        })?;
        let trips = trips.into_iter().map(|trip| (trip.sent.saturating_duration_since(began), trip.took));
        let cost = control_cpu(bench).zip(before).map(|(now, before)| now - before);
        Ok((trips.collect::<Vec<_>>(), done.load(Ordering::Relaxed) as f64, cost))
    })?;
    let p50s = |wanted: Phase| -> Vec<f64> {
        let of = |cycle: u32| {
            let is_in = |at: Duration| {
                let (phase, over) = phase(at);
                (at.as_secs_f64() / CYCLE) as u32 == cycle && phase == wanted && over >= BETWEEN
            };
            let of = trips.iter().filter(|(at, _)| is_in(*at)).map(|(_, took)| *took);
            percentile(&of.collect::<Vec<_>>(), 0.5)
        };
        // The load does not begin with the first, nor end with the last.
        (1..cycles - 1).map(of).collect()
    };
    let [without, asking, with] = PHASES.map(p50s);
    let ratio = |to: &[f64]| median(&with.iter().zip(to).map(|(with, to)| with / to).collect::<Vec<_>>());
    let rate = count / (f64::from(cycles) * CYCLE / PHASES.len() as f64);
    let mut rows = vec![
        Row::new(asked, "created and ended a second", rate, 0).between(0.99 * RATE as f64, 1e6),
        Row::new(asked, "round trip p50 of the load, ms", median(&with), 3),
        Row::new(asked, "the same without them, ms", median(&without), 3),
        Row::new(asked, "the same beside as many requests for nothing, ms", median(&asking), 3),
        Row::new(asked, "ratio", ratio(&without), 3).at_most(1.02),
        Row::new(asked, "ratio to requests for nothing", ratio(&asking), 3),
    ];
    if let Some(cost) = cost {
        let each = cost / count * 1e6;
        rows.push(Row::new(
            asked,
            "CPU of the API and the journal for each (and two requests for nothing), µs",
            each,
            0,
        ));
    }
    Ok(rows)
}

/// What the threads of the server have used that no connection passes through, in seconds.
fn control_cpu(bench: &Bench<'_>) -> Option<f64> {
    bench.pid.map(|pid| process::threads_cpu_seconds(pid, CONTROL))
}

/// Does at its rate what the phase says, until it is told to stop; counts injections.
fn again_and_again(
    session: &mut Session,
    body: &Value,
    client: u32,
    began: Instant,
    stop: &AtomicBool,
    done: &AtomicU64,
) -> Result<()> {
    let interval = Duration::from_secs(CLIENTS) / u32::try_from(RATE)?;
    // In turn, not all at once.
    let first = interval * client / u32::try_from(CLIENTS)?;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep((first + interval * number).saturating_sub(began.elapsed()));
        match phase(began.elapsed()).0 {
            Phase::Nothing => {}
            Phase::Requests => {
                session.ask("GET", "/version", None)?;
                session.ask("GET", "/version", None)?;
            }
            Phase::Injections => {
                let made = session.ask("POST", "/injections", Some(body))?;
                let path = format!("/injections/{}", made["id"].as_str().context("no id")?);
                session.ask("DELETE", &path, None)?;
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}
