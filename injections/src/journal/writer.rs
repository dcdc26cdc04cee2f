//! The thread that appends.
//!
//! What has to be kept *before* it may happen (that a fault comes on) is answered with whether it was. What
//! *has* happened (that it went off) is kept until it could be written, and comes before anything else. That
//! something is over is never given up, and stands in a file beside the journal meanwhile: otherwise a restart
//! would bring it back.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Journal;
use super::ended::{self, Ended, is_end};
use crate::book::Record;

/// So many may wait: the clients of the API that can be served at one time, and the server's own.
const QUEUE: usize = 10_000;

/// One transaction has at most so many, so that nobody waits for others' for long.
const BATCH: usize = 512;

/// What has happened and could not be written is kept up to here; then the oldest is given up that tells of
/// no end, and logged.
const BACKLOG: usize = 100_000;

/// How often what could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Why an event was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unwritten(pub String);

/// Where events are handed in. Clones are handles of the same thread; it ends with the last.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: SyncSender<Order>,
    trouble: Arc<Mutex<Option<String>>>,
    written: Arc<AtomicU64>,
    /// Ends for which there was no room in the queue: no more than there may be injections.
    ends: Arc<Mutex<Vec<Record>>>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Order {
    records: Vec<Record>,
    /// They have happened: what cannot be written now is kept.
    happened: bool,
    /// Who waits.
    done: Option<oneshot::Sender<Result<(), Unwritten>>>,
}

impl Writer {
    /// Starts the thread; the handle ends when it has written all that it could.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(journal: Arc<Mutex<Journal>>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, orders) = sync_channel(QUEUE);
        let trouble = Arc::new(Mutex::new(None));
        let written = Arc::new(AtomicU64::new(0));
        let ends = Arc::new(Mutex::new(Vec::new()));
        let lost = Arc::new(AtomicU64::new(0));
        let file = journal.lock().unwrap_or_else(PoisonError::into_inner).file.clone();
        let noted = file.as_deref().is_some_and(|file| !Ended::read(file).is_empty());
        let mut thread = Thread {
            journal,
            file,
            noted,
            backlog: VecDeque::new(),
            trouble: Arc::clone(&trouble),
            written: Arc::clone(&written),
            ends: Arc::clone(&ends),
            lost: Arc::clone(&lost),
        };
        let handle = std::thread::Builder::new()
            .name("sabot-journal".to_owned())
            .spawn(move || thread.run(&orders))?;
        Ok((Self { queue, trouble, written, ends, lost }, handle))
    }

    /// Appends events that may happen only once they are kept, all or none.
    ///
    /// # Errors
    /// They were not written, and will not be.
    pub async fn before(&self, records: Vec<Record>) -> Result<(), Unwritten> {
        self.ask(records, false).await
    }

    /// Appends events that have happened, and waits until they are kept.
    ///
    /// # Errors
    /// They were not written, but will be as soon as they can.
    pub async fn kept(&self, records: Vec<Record>) -> Result<(), Unwritten> {
        self.ask(records, true).await
    }

    /// Appends events that have happened, as soon as they can be.
    pub fn after(&self, records: Vec<Record>) {
        // What could not be handed in has been told of.
        let _ = self.hand_in(Order { records, happened: true, done: None });
    }

    async fn ask(&self, records: Vec<Record>, happened: bool) -> Result<(), Unwritten> {
        let (done, written) = oneshot::channel();
        self.hand_in(Order { records, happened, done: Some(done) })?;
        written.await.unwrap_or_else(|_| Err(Unwritten("the journal's thread has ended".to_owned())))
    }

    /// What keeps it from writing now.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many events it has written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn hand_in(&self, order: Order) -> Result<(), Unwritten> {
        self.queue.try_send(order).map_err(|error| match error {
            TrySendError::Full(order) => {
                if order.happened {
                    let (ends, others) = order.records.into_iter().partition::<Vec<_>, _>(is_end);
                    // The thread has a whole queue before it, and looks here with each part of that.
                    self.ends.lock().unwrap_or_else(PoisonError::into_inner).extend(ends);
                    lose(&self.lost, others.len());
                }
                Unwritten("too many changes wait for the journal: try again".to_owned())
            }
            TrySendError::Disconnected(_) => Unwritten("the journal's thread has ended".to_owned()),
        })
    }
}

/// Tells of events that are given up, more and more rarely.
fn lose(lost: &AtomicU64, count: usize) {
    let before = lost.fetch_add(count as u64, Ordering::Relaxed);
    let now = before + count as u64;
    if now.checked_ilog2() != before.checked_ilog2() {
        tracing::error!(lost = now, "events are missing from the journal");
    }
}

struct Thread {
    journal: Arc<Mutex<Journal>>,
    file: Option<PathBuf>,
    /// Whether what has ended stands beside the journal.
    noted: bool,
    /// What has happened and could not be written yet.
    backlog: VecDeque<Record>,
    trouble: Arc<Mutex<Option<String>>>,
    written: Arc<AtomicU64>,
    ends: Arc<Mutex<Vec<Record>>>,
    lost: Arc<AtomicU64>,
}

impl Thread {
    fn run(&mut self, orders: &Receiver<Order>) {
        loop {
            let first = if self.backlog.is_empty() {
                orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                orders.recv_timeout(RETRY)
            };
            match first {
                Ok(first) => self.write(first, orders),
                Err(RecvTimeoutError::Timeout) => drop(self.flush(&[])),
                Err(RecvTimeoutError::Disconnected) => {
                    drop(self.flush(&[]));
                    if !self.backlog.is_empty() {
                        tracing::error!(events = self.backlog.len(), "events are missing from the journal");
                    }
                    return;
                }
            }
        }
    }

    /// One transaction for as many as wait.
    fn write(&mut self, first: Order, orders: &Receiver<Order>) {
        let mut batch = vec![first];
        let mut count = batch[0].records.len();
        while count < BATCH
            && let Ok(order) = orders.try_recv()
        {
            count += order.records.len();
            batch.push(order);
        }
        let outcome = self.flush(&batch);
        let mut waiting = Vec::new();
        for Order { records, happened, done } in batch {
            if happened && outcome.is_err() {
                self.keep(records);
            }
            waiting.extend(done.map(|done| (done, happened)));
        }
        let unnoted = if outcome.is_err() { self.note() } else { None };
        for (done, happened) in waiting {
            let outcome = match (&outcome, &unnoted) {
                (Err(error), Some(why)) if happened => Err(Unwritten(format!(
                    "{error}; nor can it be noted ({why}): start again with --on-restart clear, or what was on comes \
                     back, as do schedules that were removed: remove them once more"
                ))),
                _ => outcome.clone(),
            };
            // Who has gone away has nothing to undo.
            let _ = done.send(outcome);
        }
    }

    /// Notes beside the journal what has ended and is not in it; why it could not.
    fn note(&mut self) -> Option<std::io::Error> {
        let file = self.file.as_deref()?;
        if !self.backlog.iter().any(is_end) {
            return None;
        }
        let noted = ended::write(file, self.backlog.iter());
        self.noted |= noted.is_ok();
        noted.err()
    }

    /// What was kept and what is in these, all or none.
    fn flush(&mut self, orders: &[Order]) -> Result<(), Unwritten> {
        let ends = std::mem::take(&mut *self.ends.lock().unwrap_or_else(PoisonError::into_inner));
        self.keep(ends);
        let kept = self.backlog.len();
        let all = self.backlog.iter().chain(orders.iter().flat_map(|order| &order.records));
        let count = all.clone().count();
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = journal.append(all).map_err(|error| Unwritten(error.to_string()));
        drop(journal);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &outcome {
            Ok(()) => {
                self.written.fetch_add(count as u64, Ordering::Relaxed);
                self.backlog.clear();
                if let Some(file) = self.file.as_deref().filter(|_| self.noted) {
                    // Until it is gone: there may be another schedule of the same name by the next start.
                    self.noted = !ended::remove(file);
                }
                if trouble.take().is_some() {
                    tracing::info!(events = kept, "the journal can be written again");
                }
            }
            Err(error) => {
                if trouble.replace(error.to_string()).is_none() {
                    tracing::error!(%error, "the journal cannot be written: nothing is injected until it can");
                }
            }
        }
        outcome
    }

    fn keep(&mut self, records: Vec<Record>) {
        for record in records {
            if self.backlog.len() >= BACKLOG {
                let oldest = self.backlog.iter().position(|record| !is_end(record)).unwrap_or(0);
                self.backlog.remove(oldest);
                lose(&self.lost, 1);
            }
            self.backlog.push_back(record);
        }
    }
}
