//! Connections to the upstream, kept between requests: per worker, so without contention.
//!
//! A connection that a fault has touched, or whose request was not sent in full, is
//! not kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sabot_toxics::Time;
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::Up;
use super::stats::{CLASSES, METHODS, Stats};
use super::tied::{Resettable, Tied};
use super::timer::WorkerTimer;
use crate::histogram::Histogram;
use crate::model::HttpTotals;
use crate::net::timers::{monotonic_now, within};
use crate::net::workers::WorkerId;
use crate::net::{Address, Monotonic, Stream, dial};
use crate::relay::ConnShared;
use crate::tls::{Originator, Unsecured};

/// Idle connections that a worker keeps for a proxy.
const KEPT: usize = 256;

/// How long an idle one is kept: less than what servers commonly allow (nginx 75 s).
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// How long the end of the request before may take: a turn of the worker, unless the
/// upstream does not read what it has answered already.
const READY_LIMIT: Duration = Duration::from_millis(10);

/// The pools of a proxy, one per worker.
pub(crate) struct Pools(Box<[Arc<Pool>]>);

impl Pools {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Arc::default()).collect())
    }

    /// The pool of that worker.
    pub(super) fn of(&self, worker: WorkerId) -> Arc<Pool> {
        Arc::clone(&self.0[worker])
    }

    /// What all workers have counted.
    pub(crate) fn totals(&self) -> HttpTotals {
        let stats = || self.0.iter().map(|pool| &pool.stats);
        let mut requests = BTreeMap::new();
        for (method, row) in METHODS.iter().enumerate() {
            for (class, column) in CLASSES.iter().enumerate() {
                let count = |stats: &Stats| stats.requests[method][class].load(Ordering::Relaxed);
                requests.insert((*row, *column), stats().map(count).sum());
            }
        }
        requests.retain(|_, count| *count > 0);
        HttpTotals {
            requests,
            in_flight: stats().map(Stats::in_flight).sum(),
            idle_connections: self.0.iter().map(|pool| pool.idle()).sum(),
            reused: stats().map(|stats| stats.reused.load(Ordering::Relaxed)).sum(),
            duration: Histogram::together(stats().map(|stats| &stats.duration)),
            upstream: Histogram::together(stats().map(|stats| &stats.upstream)),
        }
    }

    /// Closes what is idle.
    pub(crate) fn clear(&self) {
        for pool in &self.0 {
            *pool.lock() = Inner::default();
        }
    }
}

/// The connections of one worker.
#[derive(Default)]
pub(super) struct Pool {
    inner: Mutex<Inner>,
    pub(super) stats: Stats,
    /// What the last dial took, in nanoseconds; 0 before the first.
    dial_took: AtomicU64,
}

#[derive(Default)]
struct Inner {
    /// The one given back last at the end.
    idle: Vec<Idle<http1::SendRequest<Up>>>,
    /// The same, without hyper.
    plain: Vec<Idle<Stream>>,
    http2: Option<(Arc<str>, http2::SendRequest<Up>)>,
}

struct Idle<Connection> {
    connection: Connection,
    since: Time,
    /// Where it leads to: an upstream that moves, or stops and starts, is another.
    upstream: Arc<str>,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A dial has taken that long.
    pub(super) fn took(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.dial_took.store(nanos.max(1), Ordering::Relaxed);
    }

    /// What the last dial took, if there was one.
    pub(super) fn dial_took(&self) -> Option<Duration> {
        let nanos = self.dial_took.load(Ordering::Relaxed);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    /// Connections that wait for a request.
    fn idle(&self) -> usize {
        let inner = self.lock();
        inner.idle.len() + inner.plain.len() + usize::from(inner.http2.is_some())
    }

    /// A connection to `upstream` that was used before and still lives.
    async fn reused(&self, upstream: &Arc<str>) -> Option<http1::SendRequest<Up>> {
        loop {
            let mut idle = self.lock().idle.pop()?;
            let now = monotonic_now();
            if is_stale(&idle, now) || !Arc::ptr_eq(&idle.upstream, upstream) {
                continue;
            }
            // hyper may need a turn to finish the last request; no more than that.
            let ready = within(&mut Monotonic::default(), now + READY_LIMIT, idle.connection.ready()).await;
            if ready.is_some_and(|ready| ready.is_ok()) {
                return Some(idle.connection);
            }
        }
    }

    /// One of hyper's, or one that went without until now.
    pub(super) async fn any(&self, upstream: &Arc<str>) -> Option<http1::SendRequest<Up>> {
        if let Some(sender) = self.reused(upstream).await {
            return Some(sender);
        }
        start_http1(self.plain(upstream)?, false).await.ok()
    }

    /// The same without hyper: one that has said nothing since.
    pub(super) fn plain(&self, upstream: &Arc<str>) -> Option<Stream> {
        let mut inner = self.lock();
        let now = monotonic_now();
        loop {
            let idle = inner.plain.pop()?;
            let leads_there = Arc::ptr_eq(&idle.upstream, upstream);
            if leads_there && !is_stale(&idle, now) && idle.connection.is_quiet() {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps a connection whose last request and answer are complete.
    pub(super) fn keep_plain(&self, connection: Stream, upstream: Arc<str>) {
        keep(&mut self.lock().plain, connection, upstream);
    }

    /// The connection that HTTP/2 requests share, if there is one.
    pub(super) fn shared(&self, upstream: &Arc<str>) -> Option<http2::SendRequest<Up>> {
        let inner = self.lock();
        let (leads_to, sender) = inner.http2.as_ref()?;
        (Arc::ptr_eq(leads_to, upstream) && !sender.is_closed()).then(|| sender.clone())
    }

    pub(super) fn share(&self, upstream: &Arc<str>, sender: &http2::SendRequest<Up>) {
        self.lock().http2 = Some((Arc::clone(upstream), sender.clone()));
    }
}

fn keep<Connection>(idle: &mut Vec<Idle<Connection>>, connection: Connection, upstream: Arc<str>) {
    let since = monotonic_now();
    let stale = idle.iter().take_while(|idle| is_stale(idle, since)).count();
    drop(idle.drain(..stale));
    if idle.len() < KEPT {
        idle.push(Idle { connection, since, upstream });
    }
}

fn is_stale<Connection>(idle: &Idle<Connection>, now: Time) -> bool {
    now.saturating_since(idle.since) >= IDLE_LIMIT
}

/// A connection that is in use by one request.
pub(super) struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) sender: http1::SendRequest<Up>,
    pub(super) upstream: Arc<str>,
    /// Whether the request was sent in full.
    pub(super) sent: Arc<AtomicBool>,
}

impl Lease {
    /// Keeps the connection for another request, if it is as good as new.
    pub(super) fn give_back(self) {
        if self.sender.is_closed() || !self.sent.load(Ordering::Relaxed) {
            return;
        }
        keep(&mut self.pool.lock().idle, self.sender, self.upstream);
    }
}

/// A new connection for one HTTP/1 request after the other. One that is `tied` to a client
/// is handed over as it is when the protocol changes.
pub(super) async fn connect_http1(
    address: &Address,
    tls: Option<&Originator>,
    tied: Option<&Arc<ConnShared>>,
) -> Result<http1::SendRequest<Up>, Unreached> {
    match tls {
        None => start_tied(dial(address).await?, tied).await,
        Some(tls) => start_tied(tls.dial(address, Some("http/1.1")).await?, tied).await,
    }
}

async fn start_tied<I>(io: I, tied: Option<&Arc<ConnShared>>) -> Result<http1::SendRequest<Up>, Unreached>
where
    I: AsyncRead + AsyncWrite + Resettable + Unpin + Send + 'static,
{
    match tied {
        None => start_http1(io, false).await,
        Some(client) => start_http1(Tied::new(io, Arc::clone(client)), true).await,
    }
}

async fn start_http1<I>(io: I, upgrades: bool) -> Result<http1::SendRequest<Up>, Unreached>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(io);
    let (sender, connection) = http1::Builder::new().preserve_header_case(true).handshake(io).await?;
    // It ends when its sender is dropped, or the upstream closes it.
    if upgrades {
        tokio::spawn(connection.with_upgrades());
    } else {
        tokio::spawn(connection);
    }
    Ok(sender)
}

/// A new connection for many HTTP/2 requests at once.
pub(super) async fn connect_http2(
    address: &Address,
    tls: Option<&Originator>,
) -> Result<http2::SendRequest<Up>, Unreached> {
    match tls {
        None => start_http2(dial(address).await?).await,
        Some(tls) => start_http2(tls.dial(address, Some("h2")).await?).await,
    }
}

async fn start_http2<I>(io: I) -> Result<http2::SendRequest<Up>, Unreached>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(io);
    let builder = http2::Builder::new(TokioExecutor::new()).timer(WorkerTimer).clone();
    let (sender, connection) = builder.handshake(io).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreached {
    /// The dial failed.
    #[error(transparent)]
    Dial(#[from] std::io::Error),
    /// The TLS handshake with the upstream failed.
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    /// The upstream speaks no HTTP.
    #[error(transparent)]
    Handshake(#[from] hyper::Error),
}

impl From<Unsecured> for Unreached {
    fn from(error: Unsecured) -> Self {
        match error {
            Unsecured::Dial(error) => Self::Dial(error),
            Unsecured::Tls(error) => Self::Tls(error),
        }
    }
}
