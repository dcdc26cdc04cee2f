//! What the controller and the relays share: per proxy a [`Policy`], per
//! connection a [`ConnShared`]. The relay reads and writes atomics only; a lock is
//! taken when a plan has changed.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use sabot_toxics::{ConnKey, Direction, Entry, Plan, Time};

use super::budget::Budget;

/// Both sockets are just closed.
const CLOSE: u8 = 1;
/// Both peers get an RST.
const RESET: u8 = 2;
/// The same, since a fault says so.
const FAULT: u8 = 3;

/// Told when a toxic acts on a connection for the first time.
pub(crate) type OnApplied = Box<dyn Fn(&ConnShared, &Arc<Entry>) + Send + Sync>;

/// What all connections of a proxy follow.
pub(crate) struct Policy {
    /// Counts plans, from 1; written under the lock of `plan`.
    version: AtomicU64,
    plan: Mutex<Arc<Plan>>,
    on_applied: OnApplied,
    /// Told of each new plan: faults of HTTP requests wait on it, many to a connection.
    changed: tokio::sync::watch::Sender<()>,
    /// Bytes that one direction may hold.
    pub(crate) direction_budget: usize,
    /// Bytes that the process may hold.
    pub(crate) budget: Arc<Budget>,
}

impl Policy {
    /// `on_applied` is called on a worker: it must not block.
    pub(crate) fn new(
        plan: Arc<Plan>,
        direction_budget: usize,
        budget: Arc<Budget>,
        on_applied: OnApplied,
    ) -> Self {
        let version = AtomicU64::new(1);
        Self {
            version,
            plan: Mutex::new(plan),
            on_applied,
            changed: tokio::sync::watch::Sender::new(()),
            direction_budget,
            budget,
        }
    }

    /// Sets a new plan. The connections learn of it when they are woken
    /// ([`ConnShared::wake`]), which is the caller's to do.
    pub(crate) fn set_plan(&self, plan: Arc<Plan>) {
        let mut current = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        *current = plan;
        self.version.fetch_add(1, Ordering::Release);
        drop(current);
        self.changed.send_replace(());
    }

    /// Tells of each plan that is set from now on.
    pub(crate) fn changes(&self) -> tokio::sync::watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The plan and its version.
    pub(crate) fn plan(&self) -> (u64, Arc<Plan>) {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        (self.version.load(Ordering::Relaxed), Arc::clone(&plan))
    }

    /// A toxic acted on `connection`: tells the proxy.
    pub(crate) fn applied(&self, connection: &ConnShared, entry: &Arc<Entry>) {
        (self.on_applied)(connection, entry);
    }

    /// Counts plans: another number is another plan.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Accepted, held back by a toxic.
    Accepting,
    /// The upstream is being dialled.
    Dialing,
    /// Bytes may flow.
    Open,
    /// It is being closed.
    Closing,
}

impl State {
    const ALL: [Self; 4] = [Self::Accepting, Self::Dialing, Self::Open, Self::Closing];

    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accepting => "accepting",
            Self::Dialing => "dialing",
            Self::Open => "open",
            Self::Closing => "closing",
        }
    }
}

/// One live connection.
#[derive(Debug)]
pub(crate) struct ConnShared {
    /// Unique in the process.
    pub(crate) id: u64,
    /// What its chances hang on.
    pub(crate) key: ConnKey,
    /// The client; none on a Unix socket.
    pub(crate) client: Option<SocketAddr>,
    /// The upstream as it was asked for.
    pub(crate) upstream: Arc<str>,
    /// When it was accepted.
    pub(crate) opened: Time,
    pub(crate) policy: Arc<Policy>,
    received: [AtomicU64; 2],
    sent: [AtomicU64; 2],
    held: AtomicUsize,
    /// How long toxics held the bytes that last came out to the upstream side, in nanoseconds.
    delayed: AtomicU64,
    state: AtomicU8,
    /// The name that the client asked for under TLS.
    sni: OnceLock<Box<str>>,
    /// 0, or how it was killed: [`CLOSE`], [`RESET`] or [`FAULT`].
    killed: AtomicU8,
    /// It is to end when nothing is under way on it, if it can tell.
    leaving: AtomicBool,
    /// The toxics that have acted on it; a handful at most.
    applied: Mutex<Vec<u64>>,
    /// Stays when it is used: the task registers once, and is woken many times.
    waker: Mutex<Option<Waker>>,
}

impl ConnShared {
    /// A connection just accepted.
    pub(crate) fn new(
        id: u64,
        key: ConnKey,
        client: Option<SocketAddr>,
        upstream: Arc<str>,
        opened: Time,
        policy: Arc<Policy>,
    ) -> Self {
        Self {
            id,
            key,
            client,
            upstream,
            opened,
            policy,
            received: Default::default(),
            sent: Default::default(),
            held: AtomicUsize::new(0),
            delayed: AtomicU64::new(0),
            state: AtomicU8::new(State::Accepting as u8),
            sni: OnceLock::new(),
            killed: AtomicU8::new(0),
            leaving: AtomicBool::new(false),
            applied: Mutex::default(),
            waker: Mutex::default(),
        }
    }

    /// Bytes read from the source of that direction so far.
    pub(crate) fn received(&self, direction: Direction) -> u64 {
        self.received[direction as usize].load(Ordering::Relaxed)
    }

    /// Bytes written to the sink of that direction so far.
    pub(crate) fn sent(&self, direction: Direction) -> u64 {
        self.sent[direction as usize].load(Ordering::Relaxed)
    }

    /// Bytes that toxics hold, both directions.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How long toxics held the bytes of the client that came out last, where the relay of HTTP says so.
    pub(crate) fn delayed(&self) -> Duration {
        Duration::from_nanos(self.delayed.load(Ordering::Relaxed))
    }

    pub(super) fn set_delayed(&self, delay: Duration) {
        self.delayed.store(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Where it is in its life.
    pub(crate) fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Relaxed)) % State::ALL.len()]
    }

    /// Set by whoever drives the connection.
    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// The name that the client asked for under TLS, once it is known.
    pub(crate) fn sni(&self) -> Option<&str> {
        self.sni.get().map(AsRef::as_ref)
    }

    /// Set once, when the `ClientHello` was read.
    pub(crate) fn set_sni(&self, name: &str) {
        let _ = self.sni.set(name.into());
    }

    /// Ends the connection at once, with RST to both peers.
    pub(crate) fn reset(&self) {
        self.killed.store(RESET, Ordering::Release);
        self.wake();
    }

    /// The same, done by a fault.
    pub(crate) fn reset_by_fault(&self) {
        self.killed.store(FAULT, Ordering::Release);
        self.wake();
    }

    /// Ends the connection at once, as a process that goes away does.
    pub(crate) fn close(&self) {
        // A reset that was asked for before stays one.
        let _ = self.killed.compare_exchange(0, CLOSE, Ordering::AcqRel, Ordering::Acquire);
        self.wake();
    }

    /// Has it end when no request is under way: who passes bytes knows of none, and goes on.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether it is to end when no request is under way.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Whether it was ended: what waits before the relay begins has to look too.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire) != 0
    }

    /// Whether both peers are to get an RST.
    pub(crate) fn is_reset(&self) -> bool {
        matches!(self.killed.load(Ordering::Acquire), RESET | FAULT)
    }

    /// Whether it was ended by [`Self::reset_by_fault`].
    pub(crate) fn is_reset_by_fault(&self) -> bool {
        self.killed.load(Ordering::Acquire) == FAULT
    }

    /// Whether the toxic of that id acts on it for the first time; true once.
    pub(crate) fn first_application(&self, toxic: u64) -> bool {
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !applied.contains(&toxic);
        if first {
            applied.push(toxic);
        }
        first
    }

    /// Lets the connection look at its plan and kill flag.
    pub(crate) fn wake(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The task that [`Self::wake`], [`Self::close`] and [`Self::reset`] wake; the last one counts.
    /// Look at the flags after registering.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut registered = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !registered.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *registered = Some(waker.clone());
        }
    }

    /// Counts bytes that pass the client's side of an HTTP connection: received and
    /// sent are one there.
    pub(crate) fn count(&self, direction: Direction, bytes: usize) {
        self.add_received(direction, bytes);
        self.add_sent(direction, bytes);
    }

    pub(super) fn add_received(&self, direction: Direction, bytes: usize) {
        add(&self.received[direction as usize], bytes);
    }

    pub(super) fn add_sent(&self, direction: Direction, bytes: usize) {
        add(&self.sent[direction as usize], bytes);
    }

    /// Publishes what is held, here and in the process's budget.
    pub(super) fn set_held(&self, bytes: usize) {
        let before = self.held.load(Ordering::Relaxed);
        if before != bytes {
            self.held.store(bytes, Ordering::Relaxed);
            self.policy.budget.replace(before, bytes);
        }
    }

    /// A toxic acted on this connection.
    pub(crate) fn applied(&self, entry: &Arc<Entry>) {
        self.policy.applied(self, entry);
    }
}

impl Drop for ConnShared {
    fn drop(&mut self) {
        // A task that was dropped in the middle had no chance to give it back.
        self.set_held(0);
    }
}

/// Only the relay's task writes, so no locked instruction is needed.
fn add(counter: &AtomicU64, bytes: usize) {
    counter.store(counter.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
}
