//! The end that every toxic can be given: the server removes it at that moment,
//! whatever became of whoever set it.
//!
//! One task watches all leases. It is told only when one begins or changes; a
//! toxic that was removed meanwhile costs one look too many.

use std::sync::Arc;

use sabot_toxics::Time;
use tokio::sync::Notify;

use crate::net::Monotonic;
use crate::net::timers::sleep_until;

/// Where the task is told of leases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expiry(Arc<Notify>);

impl Expiry {
    /// A lease began or changed.
    pub(crate) fn changed(&self) {
        self.0.notify_one();
    }

    /// Calls `remove_due`, which says when the next lease ends, whenever one may
    /// have ended, until it says that nothing is left to watch.
    pub(crate) async fn watch(self, mut remove_due: impl FnMut() -> Watch) {
        loop {
            match remove_due() {
                Watch::Over => return,
                Watch::Idle => self.0.notified().await,
                Watch::Until(end) => {
                    let mut clock = Monotonic::default();
                    tokio::select! {
                        () = self.0.notified() => {}
                        () = sleep_until(&mut clock, end) => {}
                    }
                }
            }
        }
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
