//! The end that every toxic can be given: the server removes it at that moment,
//! whatever became of whoever set it.
//!
//! One task watches all leases. It is told only of what ends earlier than all that it
//! knows of; a toxic that was removed meanwhile costs one look too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sabot_toxics::Time;
use tokio::sync::Notify;

use crate::net::Monotonic;
use crate::net::timers::sleep_until;

/// Where the task is told of leases.
#[derive(Clone, Debug)]
pub(crate) struct Expiry(Arc<Told>);

#[derive(Debug)]
struct Told {
    earlier: Notify,
    /// When the task looks next, in nanoseconds of [`Time`].
    next: AtomicU64,
}

impl Default for Expiry {
    fn default() -> Self {
        let next = AtomicU64::new(Time::NEVER.as_nanos());
        Self(Arc::new(Told { earlier: Notify::new(), next }))
    }
}

impl Expiry {
    /// A toxic that is in its proxy already ends then, if ever.
    pub(crate) fn ends(&self, end: Option<Time>) {
        if end.is_some_and(|end| end.as_nanos() < self.0.next.load(Ordering::SeqCst)) {
            self.0.earlier.notify_one();
        }
    }

    /// Many toxics may have come, or other ends.
    pub(crate) fn changed(&self) {
        self.0.earlier.notify_one();
    }

    /// Calls `remove_due`, which says when the next lease ends, whenever one may
    /// have ended, until it says that nothing is left to watch.
    pub(crate) async fn watch(self, mut remove_due: impl FnMut() -> Watch) {
        loop {
            // What comes behind the look, through proxies it has been at, has to tell.
            self.look_at(Time::NEVER);
            match remove_due() {
                Watch::Over => return,
                Watch::Idle => self.0.earlier.notified().await,
                Watch::Until(end) => {
                    self.look_at(end);
                    let mut clock = Monotonic::default();
                    tokio::select! {
                        () = self.0.earlier.notified() => {}
                        () = sleep_until(&mut clock, end) => {}
                    }
                }
            }
        }
    }

    fn look_at(&self, next: Time) {
        self.0.next.store(next.as_nanos(), Ordering::SeqCst);
    }
}

/// What there is to wait for.
pub(crate) enum Watch {
    /// The controller is gone.
    Over,
    /// No toxic has a lease.
    Idle,
    /// A lease ends then.
    Until(Time),
}
