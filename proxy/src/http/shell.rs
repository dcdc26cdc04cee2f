//! Time and evidence for the faults.

use std::sync::Arc;

use sabot_toxics::http::{BoxFuture, Shell};
use sabot_toxics::{Entry, Time};

use crate::net::Monotonic;
use crate::net::timers::{monotonic_now, sleep_until};
use crate::relay::ConnShared;

/// What a connection gives the faults of its requests.
pub(super) struct FaultShell(pub(super) Arc<ConnShared>);

impl Shell for FaultShell {
    fn now(&self) -> Time {
        monotonic_now()
    }

    fn wait(&self, toxic: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()> {
        let (policy, toxic) = (Arc::clone(&self.0.policy), Arc::clone(toxic));
        Box::pin(async move {
            let mut changes = policy.changes();
            loop {
                let (_, plan) = policy.plan();
                let Some(current) = plan.entries().iter().find(|entry| entry.id == toxic.id) else { return };
                let now = monotonic_now();
                let window = current.spec.when.window(current.added, now);
                if !window.open || until.is_some_and(|until| until <= now) {
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

    fn acted(&self, toxic: &Arc<Entry>) {
        self.0.applied(toxic);
    }
}
