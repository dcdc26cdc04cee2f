//! What is counted of requests: each worker by itself, so that counting costs no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sabot_toxics::{Entry, Time};

use super::leg::Below;
use super::pool::Pool;
use super::session::Session;
use crate::connection::client;
use crate::event::What;
use crate::histogram::{Histogram, add};
use crate::net::timers::monotonic_now;

/// Upper bounds of the histograms, from a cached answer to a client that gives up.
const BOUNDS_US: [u64; 17] = [
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// Methods that are told apart; a client can make up as many others as it likes.
pub(crate) const METHODS: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "other"];

/// Classes of statuses; the last one is of requests that got no answer, or not all of it.
pub(crate) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// The counts of one worker.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(super) requests: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    began: AtomicU64,
    ended: AtomicU64,
    /// Requests that went up over a connection that was there already.
    pub(super) reused: AtomicU64,
    /// From the head of a request to the last byte of its answer.
    pub(super) duration: Histogram,
    /// From sending a request up to the head of its answer.
    pub(super) upstream: Histogram,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            began: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            duration: Histogram::new(&BOUNDS_US),
            upstream: Histogram::new(&BOUNDS_US),
        }
    }
}

impl Stats {
    /// Requests that have no answer yet, or not all of it.
    pub(super) fn in_flight(&self) -> u64 {
        // In this order: a request that ends in between must not make it negative.
        let ended = self.ended.load(Ordering::Acquire);
        self.began.load(Ordering::Acquire).saturating_sub(ended)
    }

    /// A request went up over a connection that was there already.
    pub(super) fn reused(&self) {
        add(&self.reused, 1);
    }
}

/// A request, from its head to the last byte of its answer: counted when that has gone,
/// or the request was given up.
pub(super) struct Seen {
    pool: Arc<Pool>,
    /// What lies between it and the client.
    below: Arc<Below>,
    began: Time,
    method: usize,
    /// 0 before there is an answer.
    status: AtomicU16,
    over: AtomicBool,
    /// Nanoseconds until the upstream had answered; 0 before that.
    upstream: AtomicU64,
    told: Option<Box<Told>>,
}

/// What those are told who listen to the requests.
struct Told {
    session: Arc<Session>,
    what: What,
    faults: Mutex<Vec<&'static str>>,
}

impl Seen {
    /// A request whose head has come. `head` gives version, method, host and target; it is asked
    /// only if somebody listens.
    pub(super) fn new<'a>(
        session: &Arc<Session>,
        number: u64,
        method: &str,
        head: impl FnOnce() -> (&'static str, &'a str, Option<&'a str>, &'a str),
    ) -> Self {
        let pool = Arc::clone(&session.pool);
        add(&pool.stats.began, 1);
        let told = session.proxy.requests.has_listeners().then(|| {
            let (protocol, method, host, path) = head();
            let what = What::Request {
                number,
                connection: session.shared.id,
                client: client(&session.shared),
                protocol,
                method: method.to_owned(),
                host: host.map(str::to_owned),
                path: path.to_owned(),
                status: None,
                duration_ms: 0.0,
                upstream_ms: None,
                faults: Vec::new(),
            };
            Box::new(Told { session: Arc::clone(session), what, faults: Mutex::default() })
        });
        Self {
            pool,
            below: Arc::clone(&session.below),
            // Stream toxics may have held it: the client counts from when it was sent.
            began: monotonic_now().saturating_sub(session.shared.delayed()),
            method: METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1),
            status: AtomicU16::new(0),
            over: AtomicBool::new(false),
            upstream: AtomicU64::new(0),
            told,
        }
    }

    /// Whether the method is HEAD.
    pub(super) fn is_head(&self) -> bool {
        METHODS[self.method] == "HEAD"
    }

    /// The client is told that status.
    pub(super) fn answered(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// The upstream has answered what it was sent at `sent`.
    pub(super) fn upstream(&self, sent: Time) {
        let took = monotonic_now().saturating_since(sent);
        self.pool.stats.upstream.record(took);
        self.upstream.store(nanos(took).max(1), Ordering::Relaxed);
    }

    /// A fault acted on it.
    pub(super) fn acted(&self, toxic: &Entry) {
        if let Some(told) = &self.told {
            told.faults.lock().unwrap_or_else(PoisonError::into_inner).push(toxic.spec.kind.name);
        }
    }

    /// The whole answer was handed to what writes it.
    pub(super) fn finish(self: &Arc<Self>) {
        self.below.undelivered.hold(self);
    }

    /// The same, for one that nobody shares and that was written.
    pub(super) fn finish_alone(self) {
        if !self.below.undelivered.is_direct() {
            Arc::new(self).finish();
        }
    }

    /// The client gets no answer, or not all of it.
    pub(super) fn lost(&self) {
        self.status.store(0, Ordering::Relaxed);
        self.end();
    }

    /// The last byte has gone; further calls change nothing.
    pub(super) fn end(&self) {
        if self.over.swap(true, Ordering::Relaxed) {
            return;
        }
        let (stats, status) = (&self.pool.stats, self.status.load(Ordering::Relaxed));
        let class = usize::from(status / 100).checked_sub(1).unwrap_or(CLASSES.len() - 1);
        add(&stats.requests[self.method][class.min(CLASSES.len() - 1)], 1);
        let took = monotonic_now().saturating_since(self.began);
        stats.duration.record(took);
        add(&stats.ended, 1);
        if let Some(told) = &self.told {
            told.session
                .proxy
                .requests
                .tell(|| told.complete(status, took, self.upstream.load(Ordering::Relaxed)));
        }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.end();
    }
}

impl Told {
    fn complete(&self, answered: u16, took: Duration, upstream: u64) -> What {
        let mut complete = self.what.clone();
        if let What::Request { status, duration_ms, upstream_ms, faults, .. } = &mut complete {
            *status = (answered > 0).then_some(answered);
            *duration_ms = ms(nanos(took));
            *upstream_ms = (upstream > 0).then(|| ms(upstream));
            faults.clone_from(&self.faults.lock().unwrap_or_else(PoisonError::into_inner));
        }
        complete
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// To the microsecond.
fn ms(nanos: u64) -> f64 {
    (nanos / 1000) as f64 / 1000.0
}
