//! Time and evidence for the faults.

use std::sync::Arc;

use sabot_toxics::http::{BoxFuture, Connection, Permit, Shell};
use sabot_toxics::{Entry, Time};

use super::room::FaultRoom;
use super::session::Session;
use super::stats::Seen;
use crate::net::Monotonic;
use crate::net::timers::{monotonic_now, sleep_until};
use crate::relay::ConnShared;

/// What a connection gives the faults of one request.
pub(super) struct FaultShell {
    shared: Arc<ConnShared>,
    room: Arc<FaultRoom>,
    connection: Arc<Connection>,
    seen: Arc<Seen>,
}

impl FaultShell {
    pub(super) fn new(session: &Session, seen: Arc<Seen>) -> Self {
        Self {
            shared: Arc::clone(&session.shared),
            room: Arc::clone(&session.proxy.fault_room),
            connection: Arc::clone(&session.connection),
            seen,
        }
    }

    /// Waits until that moment, for as long as the toxic is there, its window open, and
    /// `same` says so of it and of what it is now.
    fn wait_while(
        &self,
        toxic: &Arc<Entry>,
        until: Option<Time>,
        same: fn(&Arc<Entry>, &Arc<Entry>) -> bool,
    ) -> BoxFuture<()> {
        let (policy, toxic) = (Arc::clone(&self.shared.policy), Arc::clone(toxic));
        Box::pin(async move {
            let mut changes = policy.changes();
            loop {
                let (_, plan) = policy.plan();
                let Some(current) = plan.entries().iter().find(|entry| entry.id == toxic.id) else { return };
                let now = monotonic_now();
                let window = current.spec.when.window(current.added, now);
                let over = !window.open || !same(current, &toxic);
                if over || until.is_some_and(|until| until <= now) {
                    return;
                }
                let mut clock = Monotonic::default();
                match [until, window.changes].into_iter().flatten().min() {
                    Some(next) => tokio::select! {
                        biased;
                        () = sleep_until(&mut clock, next) => {}
                        _ = changes.changed() => {}
                    },
                    None => drop(changes.changed().await),
                }
            }
        })
    }
}

impl Shell for FaultShell {
    fn now(&self) -> Time {
        monotonic_now()
    }

    fn wait(&self, toxic: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()> {
        self.wait_while(toxic, until, |_, _| true)
    }

    fn wait_or_update(&self, seen: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()> {
        self.wait_while(seen, until, Arc::ptr_eq)
    }

    fn current(&self, toxic: &Arc<Entry>) -> Option<Arc<Entry>> {
        let (_, plan) = self.shared.policy.plan();
        let current = plan.entries().iter().find(|entry| entry.id == toxic.id)?;
        current.spec.when.window(current.added, monotonic_now()).open.then(|| Arc::clone(current))
    }

    fn admit(&self) -> Option<Permit> {
        self.room.admit()
    }

    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn acted(&self, toxic: &Arc<Entry>) {
        self.shared.applied(toxic);
        self.seen.acted(toxic);
    }
}
