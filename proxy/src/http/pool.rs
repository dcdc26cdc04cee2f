//! Connections to the upstream, kept between requests: per worker, so without contention.
//!
//! A connection that a fault has touched, or whose request was not sent in full, is
//! not kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sabot_toxics::Time;

use super::body::Up;
use super::timer::WorkerTimer;
use crate::net::timers::monotonic_now;
use crate::net::workers::WorkerId;
use crate::net::{Address, dial};

/// Idle connections that a worker keeps for a proxy.
const KEPT: usize = 256;

/// How long an idle one is kept: less than what servers commonly allow (nginx 75 s).
const IDLE_LIMIT: Duration = Duration::from_secs(60);

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

    /// Closes what is idle: the upstream has moved.
    pub(crate) fn clear(&self) {
        for pool in &self.0 {
            pool.lock().idle.clear();
            pool.lock().http2 = None;
        }
    }
}

/// The connections of one worker.
#[derive(Default)]
pub(super) struct Pool(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    idle: Vec<Idle>,
    http2: Option<http2::SendRequest<Up>>,
}

struct Idle {
    sender: http1::SendRequest<Up>,
    since: Time,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that was used before and still lives.
    pub(super) async fn reused(&self) -> Option<http1::SendRequest<Up>> {
        loop {
            let mut idle = self.lock().idle.pop()?;
            let fresh = monotonic_now().saturating_since(idle.since) < IDLE_LIMIT;
            if fresh && idle.sender.ready().await.is_ok() {
                return Some(idle.sender);
            }
        }
    }

    /// The connection that HTTP/2 requests share, if there is one.
    pub(super) fn shared(&self) -> Option<http2::SendRequest<Up>> {
        self.lock().http2.clone().filter(|sender| !sender.is_closed())
    }

    pub(super) fn share(&self, sender: &http2::SendRequest<Up>) {
        self.lock().http2 = Some(sender.clone());
    }
}

/// A connection that is in use by one request.
pub(super) struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) sender: http1::SendRequest<Up>,
    /// Whether the request was sent in full.
    pub(super) sent: Arc<AtomicBool>,
}

impl Lease {
    /// Keeps the connection for another request, if it is as good as new.
    pub(super) fn give_back(self) {
        if self.sender.is_closed() || !self.sent.load(Ordering::Relaxed) {
            return;
        }
        let mut inner = self.pool.lock();
        if inner.idle.len() < KEPT {
            inner.idle.push(Idle { sender: self.sender, since: monotonic_now() });
        }
    }
}

/// A new connection for one HTTP/1 request after the other. `upgrades` says whether it
/// is to be handed over as it is when the protocol changes.
pub(super) async fn connect_http1(
    address: &Address,
    upgrades: bool,
) -> Result<http1::SendRequest<Up>, Unreached> {
    let io = TokioIo::new(dial(address).await?);
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
pub(super) async fn connect_http2(address: &Address) -> Result<http2::SendRequest<Up>, Unreached> {
    let io = TokioIo::new(dial(address).await?);
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
    /// The upstream speaks no HTTP.
    #[error(transparent)]
    Handshake(#[from] hyper::Error),
}
