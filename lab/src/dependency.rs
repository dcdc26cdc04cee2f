//! A dependency that is called over HTTP: one or several targets behind retries and guards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::draws::Draws;
use crate::guard::{CallError, Guard, Limits, Retries};
use crate::http_pool::{Call, HttpPool, Reply};
use crate::metrics::Meter;
use crate::mitigation::Mitigations;

/// Calls of one kind to a service that has several replicas.
pub(crate) struct Dependency {
    targets: Vec<Arc<Target>>,
    next: AtomicUsize,
    retries: Retries,
}

struct Target {
    guard: Guard,
    pool: HttpPool,
}

impl Dependency {
    /// `pools` are the replicas by name; the pools may be shared with other kinds of calls.
    pub(crate) fn new(
        meter: &Meter,
        (name, class): (&str, &'static str),
        pools: &[(String, HttpPool)],
        limits: Limits,
        seed: u64,
    ) -> Self {
        let target = |(name, pool): &(String, HttpPool)| {
            Arc::new(Target { guard: Guard::new(meter, name, class, limits), pool: pool.clone() })
        };
        let draws = Draws::new(seed, &format!("retries of {name} {class}"));
        Self {
            targets: pools.iter().map(target).collect(),
            next: AtomicUsize::new(0),
            retries: Retries::new(meter, name, draws),
        }
    }

    /// Makes a call; a retry goes to the next replica.
    pub(crate) async fn send(&self, on: Mitigations, call: &Call) -> Result<Reply, CallError> {
        let attempt = || async {
            let Some(target) = self.choose(on) else {
                return Err(CallError::Failed("the dependency".into(), "it has no address".into()));
            };
            let (call, pool) = (call.clone(), target.pool.clone());
            let send = move || {
                let (call, pool) = (call.clone(), pool.clone());
                async move { pool.send(call).await }
            };
            target.guard.call(on, send).await
        };
        self.retries.run(on, attempt).await
    }

    /// One after the other, passing over those whose breaker is open while another's is not.
    fn choose(&self, on: Mitigations) -> Option<&Arc<Target>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let rotated =
            || (0..self.targets.len()).map(move |step| first.wrapping_add(step) % self.targets.len());
        let fit = rotated().find(|index| !self.targets[*index].guard.is_resting(on));
        self.targets.get(fit.or_else(|| rotated().next())?)
    }

    pub(crate) fn publish(&self, on: Mitigations) {
        self.targets.iter().for_each(|target| target.guard.publish(on));
    }
}
