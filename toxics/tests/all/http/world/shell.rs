//! The shell around the faults: a clock that others move, and what the toxics say of themselves.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use sabot_toxics::http::{BoxFuture, Connection, Permit, Shell};
use sabot_toxics::{Entry, Plan, Time};

/// Time and evidence.
#[derive(Default)]
pub(super) struct FakeShell {
    clock: Mutex<Clock>,
    connection: Connection,
    cap: Cap,
}

impl FakeShell {
    pub(super) fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap()
    }

    /// So many requests may be under a fault at one time.
    pub(super) fn cap(&self, most: usize) {
        *self.cap.most.lock().unwrap() = Some(most);
    }
}

/// How many requests may be under a fault, and how many are.
#[derive(Default)]
struct Cap {
    most: Mutex<Option<usize>>,
    active: Arc<()>,
}

/// Time, what comes with it, and who waits for it.
#[derive(Default)]
pub(super) struct Clock {
    pub(super) now: Time,
    /// The plan that comes, and when.
    pub(super) updated: Option<(Time, Plan)>,
    /// When every toxic is taken back.
    pub(super) removed: Option<Time>,
    waits: BTreeMap<u64, Option<Time>>,
    count: u64,
    pub(super) acted: Vec<String>,
}

impl Clock {
    fn is_removed(&self) -> bool {
        self.removed.is_some_and(|removed| removed <= self.now)
    }

    /// The toxic as it is now.
    fn current(&self, toxic: &Arc<Entry>) -> Option<Arc<Entry>> {
        if self.is_removed() {
            return None;
        }
        let updated = self.updated.as_ref().filter(|(moment, _)| *moment <= self.now);
        let entry =
            updated.and_then(|(_, plan)| plan.entries().iter().find(|entry| entry.id == toxic.id).cloned());
        entry.or_else(|| Some(Arc::clone(toxic)))
    }

    /// The next moment at which something happens.
    pub(super) fn next(&self) -> Option<Time> {
        let deadlines = self.waits.values().copied().flatten();
        let updated = self.updated.as_ref().map(|(moment, _)| *moment);
        deadlines.chain(self.removed).chain(updated).filter(|moment| *moment > self.now).min()
    }
}

/// Until a moment, or until it ends before.
pub(super) struct Wait {
    shell: Arc<FakeShell>,
    id: u64,
    ends: Ends,
}

/// What ends a wait before its time.
pub(super) enum Ends {
    /// Nothing: it is not of a toxic.
    Never,
    Removed,
    /// Another toxic than this one.
    Updated(Arc<Entry>),
}

impl Wait {
    pub(super) fn new(shell: &Arc<FakeShell>, until: Option<Time>, ends: Ends) -> Self {
        let mut clock = shell.clock();
        clock.count += 1;
        let id = clock.count;
        clock.waits.insert(id, until);
        Self { shell: Arc::clone(shell), id, ends }
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let clock = self.shell.clock();
        let until = clock.waits[&self.id];
        let ended = match &self.ends {
            Ends::Never => false,
            Ends::Removed => clock.is_removed(),
            Ends::Updated(seen) => !clock.current(seen).is_some_and(|now| Arc::ptr_eq(&now, seen)),
        };
        if ended || until.is_some_and(|until| until <= clock.now) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // A failing test must show its own panic, not this one.
        if let Ok(mut clock) = self.shell.clock.lock() {
            clock.waits.remove(&self.id);
        }
    }
}

/// The shell as the chain wants it: a wait outlives the call that made it.
pub(super) struct Handle(pub(super) Arc<FakeShell>);

impl Shell for Handle {
    fn now(&self) -> Time {
        self.0.clock().now
    }

    fn wait(&self, _: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()> {
        Box::pin(Wait::new(&self.0, until, Ends::Removed))
    }

    fn wait_or_update(&self, seen: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()> {
        Box::pin(Wait::new(&self.0, until, Ends::Updated(Arc::clone(seen))))
    }

    fn current(&self, toxic: &Arc<Entry>) -> Option<Arc<Entry>> {
        self.0.clock().current(toxic)
    }

    fn admit(&self) -> Option<Permit> {
        let Cap { most, active } = &self.0.cap;
        match *most.lock().unwrap() {
            None => Some(Permit::unlimited()),
            Some(cap) if Arc::strong_count(active) > cap => None,
            Some(_) => Some(Permit::new(Arc::clone(active))),
        }
    }

    fn connection(&self) -> &Connection {
        &self.0.connection
    }

    fn acted(&self, toxic: &Arc<Entry>) {
        self.0.clock().acted.push(toxic.spec.name.clone());
    }
}
