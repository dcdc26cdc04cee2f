//! Worker threads: one per core, each with a runtime and timers of its own.
//!
//! A connection lives on one worker from its first poll to its last, so that what
//! its tasks share (timers, buffers, pipes) needs no lock.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};

use super::timers::{self, BOUNDS_US, Timers};
use crate::histogram::{Distribution, Histogram};

/// After so many tasks the runtime looks for I/O and due timers. The default of 61
/// makes a timer wait for 61 busy connections, about 0.6 ms; at 16 busy workers call
/// epoll twice as often as nginx does.
const TASKS_BETWEEN_EVENTS: u32 = 32;

/// A worker's number, from 0.
pub(crate) type WorkerId = usize;

/// The worker threads. Clones are handles of the same threads.
#[derive(Clone, Debug)]
pub(crate) struct Workers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    workers: Vec<Worker>,
    stop: watch::Sender<bool>,
    /// Closed once all threads have ended.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

#[derive(Debug)]
struct Worker {
    handle: Handle,
    load: Arc<AtomicUsize>,
    lateness: Arc<Histogram>,
}

impl Workers {
    /// Starts `count` workers, or one per core this process may use.
    ///
    /// # Errors
    /// The system gives no thread or descriptor.
    pub(crate) fn start(count: Option<usize>) -> io::Result<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let count = count.unwrap_or_else(cores).max(1);
        let (stop, _) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let workers = (0..count)
            .map(|id| Worker::start(id, stop.subscribe(), alive.clone()))
            .collect::<io::Result<_>>()?;
        Ok(Self { inner: Arc::new(Inner { workers, stop, ended: ended.into() }) })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.inner.workers.len()
    }

    /// Runs a task on a worker; it counts as no load.
    pub(crate) fn spawn_on(&self, worker: WorkerId, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.inner.workers[worker].handle.spawn(task));
    }

    /// Runs a connection on a worker, counted as load until it ends.
    pub(crate) fn spawn_connection(
        &self,
        worker: WorkerId,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let load = Load::new(&self.inner.workers[worker].load);
        self.spawn_on(worker, async move {
            let _load = load;
            connection.await;
        });
    }

    /// Where a connection accepted on `here` should live: here, unless another
    /// worker has clearly less to do: a quarter for few connections, since eight bulk
    /// streams should share the cores evenly, half for many, since handing over costs
    /// a wake-up of another thread, and short connections come in bursts.
    pub(crate) fn place(&self, here: WorkerId) -> WorkerId {
        let load = |id: WorkerId| self.inner.workers[id].load.load(Relaxed);
        let least = (0..self.len()).min_by_key(|id| load(*id)).unwrap_or(here);
        let fewest = load(least);
        let slack = if fewest < 8 { fewest / 4 } else { fewest / 2 };
        if load(here) > fewest + slack { least } else { here }
    }

    /// Tasks alive on all workers.
    pub(crate) fn tasks(&self) -> usize {
        self.inner.workers.iter().map(|worker| worker.handle.metrics().num_alive_tasks()).sum()
    }

    /// Lateness of all timers so far.
    pub(crate) fn lateness(&self) -> Distribution {
        Histogram::together(self.inner.workers.iter().map(|worker| &*worker.lateness))
    }

    /// Drops every task and ends the threads. True if all ended within `deadline`;
    /// one that did not ends by itself later.
    pub(crate) async fn stop(&self, deadline: Duration) -> bool {
        self.inner.stop.send_replace(true);
        let mut ended = self.inner.ended.lock().await;
        // Each thread holds a sender and sends nothing.
        tokio::time::timeout(deadline, ended.recv()).await.is_ok()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Not joined: the last handle may be dropped by a task of a worker itself.
        self.stop.send_replace(true);
    }
}

impl Worker {
    fn start(id: WorkerId, mut stop: watch::Receiver<bool>, alive: mpsc::Sender<()>) -> io::Result<Self> {
        let runtime =
            Builder::new_current_thread().enable_all().event_interval(TASKS_BETWEEN_EVENTS).build()?;
        let handle = runtime.handle().clone();
        let lateness = Arc::new(Histogram::new(&BOUNDS_US));
        let of_thread = Arc::clone(&lateness);
        let timerfd = timers::timerfd()?;
        // Here, where a lack of descriptors can still be told.
        let watch = {
            let _runtime = runtime.enter();
            super::watch_readable(timerfd.try_clone()?)?
        };
        let body = move || {
            let timers = Timers::install(timerfd, of_thread);
            // The runtime polls this future before any task, so timers come first.
            runtime.block_on(async {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => {}
                    Err(error) = timers.drive(watch) => {
                        tracing::error!(%error, "failed to drive the timers");
                    }
                }
            });
            drop(runtime);
            timers::uninstall();
            drop(alive);
        };
        // It ends by the stop signal, or when the last `Workers` is dropped.
        std::thread::Builder::new().name(format!("sabot-worker-{id}")).spawn(body)?;
        Ok(Self { handle, load: Arc::default(), lateness })
    }
}

/// Counts as one connection of a worker while it lives.
struct Load(Arc<AtomicUsize>);

impl Load {
    fn new(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
