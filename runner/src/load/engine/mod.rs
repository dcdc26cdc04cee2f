//! The shell around the pure part: threads, timers, sockets.
//!
//! - [`Running`]: a load under way;
//! - `worker`: a thread that sends its share, by `timer`'s deadlines;
//! - `lane`: the way of one endpoint's requests, over the connections of a `pool`;
//! - `cause`: why requests failed, as far as anybody says so;
//! - `call`: what a kind of request must be able to do; `dial`, `wire`, `http`: what kinds share;
//! - `setup`: requests before the load.

pub(crate) mod call;
pub(crate) mod cause;
pub(crate) mod dial;
pub(crate) mod http;
pub(crate) mod lane;
pub(crate) mod pool;
mod setup;
mod timer;
pub(crate) mod wire;
mod worker;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::Load;
use super::sink::{Batch, Sink};

/// Batches on their way from the workers: a few seconds of 64 workers.
const QUEUE: usize = 4096;

/// Time for threads to start before the first request is due.
const LEAD: Duration = Duration::from_millis(20);

/// Why a load could not run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A request of the setup failed.
    #[error("{field}: {message}")]
    Setup {
        /// Which, such as `setup[0]`.
        field: String,
        /// What was wrong.
        message: String,
    },
    /// A worker could not start or go on.
    #[error("failed to run a worker of the load: {0}")]
    Worker(#[from] std::io::Error),
}

/// A load under way: batches come from it until it has ended.
#[derive(Debug)]
pub struct Running {
    batches: mpsc::Receiver<Batch>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<std::io::Result<()>>>,
    started: Instant,
    stopped: Option<Instant>,
    workers: u16,
    duration: Duration,
}

/// How a load ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// How long requests were offered.
    pub offered_for: Duration,
    /// Whether it was stopped before its time.
    pub stopped: bool,
    /// Threads that sent.
    pub workers: u16,
}

/// Ends a load before its time, from wherever it is needed.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Starts nothing more; what is under way has a second to end, and counts as cut off then.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Running {
    /// Sends the setup's requests, then begins.
    ///
    /// # Errors
    /// A request of the setup failed, or no thread could be started.
    pub async fn start(load: &Arc<Load>) -> Result<Self, LoadError> {
        let captured = Arc::new(setup::run(load).await?);
        let workers = load.workers();
        let (out, batches) = mpsc::channel(QUEUE);
        let (stop, stopping) = watch::channel(false);
        let started = Instant::now() + LEAD;
        let origin = timer::now() + worker::nanos(LEAD);
        let mut threads = Vec::new();
        for index in 0..workers {
            let task = worker::Task {
                load: Arc::clone(load),
                captured: Arc::clone(&captured),
                index,
                workers,
                origin,
                out: out.clone(),
                stop: stopping.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("load-{index}"));
            threads.push(thread.spawn(move || worker::run(task))?);
        }
        Ok(Self {
            batches,
            stop,
            threads,
            started,
            stopped: None,
            workers,
            duration: load.profile.duration(),
        })
    }

    /// The moment that the times of outcomes count from.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Threads that send.
    #[must_use]
    pub fn workers(&self) -> u16 {
        self.workers
    }

    /// How long the load has been on; none before its first moment.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What became of requests lately; none once all have ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// Ends it before its time; batches come until what is under way has ended, a second at most.
    pub fn stop(&mut self) {
        self.stopped.get_or_insert_with(Instant::now);
        self.stop.send_replace(true);
    }

    /// Something that can end it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Says how it ended, once [`Self::next`] gave none.
    ///
    /// # Errors
    /// A worker could not start or go on.
    pub fn finish(self) -> Result<Ended, LoadError> {
        drop(self.batches);
        for thread in self.threads {
            // A panic is our own bug; it has said so on stderr.
            thread.join().map_err(|_| std::io::Error::other("a worker panicked"))??;
        }
        let stopped = *self.stop.borrow();
        let until = self.stopped.unwrap_or_else(Instant::now);
        let offered_for = if stopped { until.saturating_duration_since(self.started) } else { self.duration };
        Ok(Ended { offered_for: offered_for.min(self.duration), stopped, workers: self.workers })
    }

    /// Runs to the end, each batch handed to `sink`.
    ///
    /// # Errors
    /// A worker could not start or go on.
    pub async fn drive(mut self, sink: &mut dyn Sink) -> Result<Ended, LoadError> {
        while let Some(batch) = self.next().await {
            sink.take(&batch);
        }
        self.finish()
    }
}
