//! A worker: a thread with a runtime and a timer, that sends its share of the requests.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};

use super::cause::Causes;
use super::lane::{AnyLane, Done, Pools};
use super::pool::Limits;
use super::timer::{Nanos, Timer, now};
use crate::load::Load;
use crate::load::arrivals::Arrivals;
use crate::load::code::Code;
use crate::load::sink::Batch;
use crate::load::template::Values;
use crate::outcome::Outcome;

/// How often outcomes are handed on.
const HANDOVER: Nanos = 50_000_000;

/// The pacer wakes up no more often than this: at 20,000 requests/s each wake-up then starts eight, for
/// a lateness of two tenths of a millisecond in the mean. Below 2,500/s it changes little.
const TICK: Nanos = 400_000;

/// How many requests are started in a row before answers are looked at again.
const AT_ONCE: u32 = 64;

/// Outcomes that wait to be handed on; beyond, sending waits for whoever takes them.
const BACKLOG: usize = 1 << 20;

/// How long requests under way may still take once the load was stopped before its time.
const GRACE: Nanos = 1_000_000_000;

/// What a worker needs to know.
pub(super) struct Task {
    pub load: Arc<Load>,
    /// What the setup captured, by tenant.
    pub captured: Arc<Vec<BTreeMap<String, String>>>,
    pub index: u16,
    pub workers: u16,
    pub origin: Nanos,
    pub out: mpsc::Sender<Batch>,
    pub stop: watch::Receiver<bool>,
}

/// Sends a worker's share of the load; returns when all of it has ended.
pub(super) fn run(task: Task) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let timer = Timer::new()?;
        let driver = tokio::task::spawn_local({
            let timer = Rc::clone(&timer);
            async move { timer.drive().await }
        });
        let worker = Worker::new(task, &timer);
        let handover = tokio::task::spawn_local(Rc::clone(&worker).hand_over());
        let brake = tokio::task::spawn_local(Rc::clone(&worker).watch_stop());
        worker.pace().await;
        // Each request under way has its limits; nothing needs another here.
        brake.abort();
        worker.ended.set(true);
        let _ = handover.await;
        driver.abort();
        Ok(())
    })
}

struct Worker {
    task: Task,
    timer: Rc<Timer>,
    pools: Pools,
    lanes: Vec<Rc<dyn AnyLane>>,
    in_flight: Cell<u32>,
    most_in_flight: u32,
    stopping: Cell<bool>,
    ended: Cell<bool>,
    outcomes: RefCell<Vec<Outcome>>,
    codes: RefCell<BTreeMap<(u16, Code), u64>>,
    causes: Causes,
    resent: Cell<u64>,
}

impl Worker {
    fn new(task: Task, timer: &Rc<Timer>) -> Rc<Self> {
        let plan = &task.load.plan;
        let limits = Limits {
            connections: share(plan.connections, &task),
            connect: nanos(plan.connect_timeout.get()),
            queue: nanos(plan.queue_timeout.get()),
        };
        let mut pools = Pools::new(limits, timer);
        let lane = |endpoint: &crate::load::Ready| {
            Arc::clone(&endpoint.call).lane(&mut pools, nanos(endpoint.timeout))
        };
        let lanes = task.load.endpoints.iter().map(lane).collect();
        Rc::new(Self {
            most_in_flight: share(plan.max_in_flight, &task),
            timer: Rc::clone(timer),
            pools,
            lanes,
            in_flight: Cell::new(0),
            stopping: Cell::new(false),
            ended: Cell::new(false),
            outcomes: RefCell::default(),
            codes: RefCell::default(),
            causes: Causes::default(),
            resent: Cell::new(0),
            task,
        })
    }

    /// Starts each request at its time, and waits until the last has ended.
    async fn pace(self: &Rc<Self>) {
        let load = &self.task.load;
        let arrivals = Arrivals::new(load.profile.clone(), load.plan.arrivals, &load.seed);
        let mine = |number: u64| number % u64::from(self.task.workers) == u64::from(self.task.index);
        let mut started = 0;
        let mut woke = 0;
        for (number, intended) in arrivals.filter(|(number, _)| mine(*number)) {
            let at = self.task.origin + nanos(intended);
            while now() < at && !self.stopping.get() {
                started = 0;
                self.pause(at.max(woke + TICK)).await;
                woke = now();
            }
            if self.stopping.get() {
                break;
            }
            self.start(number, intended);
            started += 1;
            if started >= AT_ONCE {
                started = 0;
                tokio::task::yield_now().await;
            }
            while self.outcomes.borrow().len() > BACKLOG {
                self.timer.sleep_until(now() + HANDOVER).await;
            }
        }
        // The load lasts as long as it was meant to, with or without a request at its very end.
        let end = self.task.origin + nanos(load.profile.duration());
        while now() < end && !self.stopping.get() {
            self.pause(end).await;
        }
        while self.in_flight.get() > 0 {
            self.timer.sleep_until(now() + 1_000_000).await;
            tokio::task::yield_now().await;
        }
    }

    /// Waits until `at`, or until the load is stopped.
    async fn pause(&self, at: Nanos) {
        let mut sleep = self.timer.sleep_until(at);
        std::future::poll_fn(|cx| {
            if self.stopping.get() { Poll::Ready(()) } else { Pin::new(&mut sleep).poll(cx) }
        })
        .await;
    }

    fn start(self: &Rc<Self>, number: u64, intended: Duration) {
        let (endpoint, tenant) = self.task.load.choose(number);
        if self.in_flight.get() >= self.most_in_flight {
            self.record(intended, endpoint, tenant, &Done::dropped());
            return;
        }
        self.in_flight.set(self.in_flight.get() + 1);
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let load = &worker.task.load;
            let values = Values {
                number,
                tenant: load.tenants.get(usize::from(tenant)).map_or("", String::as_str),
                captured: worker.task.captured.get(usize::from(tenant)),
            };
            let done = match worker.lanes.get(usize::from(endpoint)) {
                Some(lane) => lane.run(values).await,
                None => Done::dropped(),
            };
            worker.in_flight.set(worker.in_flight.get() - 1);
            worker.record(intended, endpoint, tenant, &done);
        });
    }

    fn record(&self, intended: Duration, endpoint: u16, tenant: u16, done: &Done) {
        let since = |at: Nanos| Duration::from_nanos(at.saturating_sub(self.task.origin));
        self.outcomes.borrow_mut().push(Outcome {
            intended,
            sent: done.sent.map(since),
            done: since(now()),
            endpoint,
            tenant,
            fate: done.fate,
        });
        if let Some(code) = done.code {
            *self.codes.borrow_mut().entry((endpoint, code)).or_default() += 1;
        }
        if let Some(cause) = &done.cause {
            self.causes.count(cause);
        }
        self.resent.set(self.resent.get() + u64::from(done.resent));
    }

    /// Hands outcomes on, until all has ended.
    async fn hand_over(self: Rc<Self>) {
        let mut at = now();
        loop {
            let last = self.ended.get();
            let batch = Batch {
                outcomes: self.outcomes.take(),
                codes: self.codes.take(),
                causes: self.causes.take(),
                connections_opened: self.pools.take_opened(),
                resent: self.resent.take(),
                in_flight: self.in_flight.get(),
                worker: self.task.index,
            };
            // Whoever took them is gone: the load ends for the same reason.
            if self.task.out.send(batch).await.is_err() {
                self.stop();
            }
            if last {
                return;
            }
            at = (at + HANDOVER).max(now());
            self.timer.sleep_until(at).await;
        }
    }

    async fn watch_stop(self: Rc<Self>) {
        let mut stop = self.task.stop.clone();
        // An error means that nobody can stop it any more.
        if stop.wait_for(|stop| *stop).await.is_ok() {
            self.stop();
        }
    }

    /// Starts nothing more, and lets what is under way have a moment.
    fn stop(&self) {
        if !self.stopping.replace(true) {
            self.timer.end_at(now() + GRACE);
            self.timer.wake_all();
        }
    }
}

/// This worker's part of a limit, 1 at least.
fn share(whole: u32, task: &Task) -> u32 {
    let (workers, index) = (u32::from(task.workers), u32::from(task.index));
    (whole / workers + u32::from(index < whole % workers)).max(1)
}

pub(super) fn nanos(span: Duration) -> Nanos {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}
