//! Retries: three at once, as naive code has it, or few and later.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tower::retry::backoff::{Backoff, ExponentialBackoff, ExponentialBackoffMaker, MakeBackoff};
use tower::retry::budget::{Budget, TpsBudget};
use tower::retry::{Policy, Retry};
use tower::util::rng::Rng;
use tower::{ServiceExt, service_fn};

use super::{Answer, CallError};
use crate::draws::Draws;
use crate::metrics::{Meter, RETRIES, RETRIES_REFUSED};
use crate::mitigation::{Mitigation, Mitigations};

/// How often naive code tries again, at once.
pub(super) const NAIVE_RETRIES: u32 = 3;
const RETRIES_AT_MOST: u32 = 2;
/// Retries per call that needed none, and how long such a call counts.
const SHARE: f32 = 0.1;
const REMEMBERED: Duration = Duration::from_secs(10);
/// Granted besides, so that a service with little traffic can retry at all.
const LEAST_PER_S: u32 = 1;
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_millis(200);

/// Makes failed calls of one dependency again.
pub(crate) struct Retries {
    dependency: Arc<str>,
    meter: Meter,
    budget: Arc<TpsBudget>,
    draws: Draws,
    calls: AtomicU64,
}

impl Retries {
    pub(crate) fn new(meter: &Meter, dependency: &str, draws: Draws) -> Self {
        Self {
            dependency: dependency.into(),
            meter: meter.clone(),
            budget: Arc::new(TpsBudget::new(REMEMBERED, LEAST_PER_S, SHARE)),
            draws,
            calls: AtomicU64::new(0),
        }
    }

    /// `attempt` until it succeeds or no retry is left; the last result.
    pub(crate) async fn run<T, F, W>(&self, on: Mitigations, attempt: F) -> Result<T, CallError>
    where
        T: Answer,
        F: Fn() -> W + Clone,
        W: Future<Output = Result<T, CallError>>,
    {
        Retry::new(self.policy(on), service_fn(move |()| attempt())).oneshot(()).await
    }

    fn policy(&self, on: Mitigations) -> Again {
        let budgeted = on.has(Mitigation::RetryBudget).then(|| {
            let jitter =
                Jitter { draws: self.draws.clone(), next: self.calls.fetch_add(1, Ordering::Relaxed) << 8 };
            // Refused only if the least exceeded the most.
            let backoff = ExponentialBackoffMaker::new(BACKOFF_MIN, BACKOFF_MAX, 1.0, jitter).ok();
            backoff.map(|mut maker| (Arc::clone(&self.budget), maker.make_backoff()))
        });
        Again {
            left: if budgeted.is_some() { RETRIES_AT_MOST } else { NAIVE_RETRIES },
            budgeted: budgeted.flatten(),
            dependency: Arc::clone(&self.dependency),
            meter: self.meter.clone(),
        }
    }
}

/// The retries of one call.
#[derive(Clone)]
struct Again {
    left: u32,
    budgeted: Option<(Arc<TpsBudget>, ExponentialBackoff<Jitter>)>,
    dependency: Arc<str>,
    meter: Meter,
}

impl<T: Answer> Policy<(), T, CallError> for Again {
    type Future = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(&mut self, (): &mut (), result: &mut Result<T, CallError>) -> Option<Self::Future> {
        let failed = match result {
            Ok(answer) => answer.is_failure(),
            Err(error) => error.is_of_dependency(),
        };
        if !failed {
            if let Some((budget, _)) = &self.budgeted {
                budget.deposit();
            }
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let labels = [("dependency", &*self.dependency)];
        let Some((budget, backoff)) = &mut self.budgeted else {
            self.meter.count(RETRIES, &labels);
            return Some(Box::pin(std::future::ready(())));
        };
        if !budget.withdraw() {
            self.meter.count(RETRIES_REFUSED, &labels);
            return None;
        }
        self.meter.count(RETRIES, &labels);
        Some(Box::pin(backoff.next_backoff()))
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}

/// The seeded draws of one call's back-offs.
#[derive(Clone)]
struct Jitter {
    draws: Draws,
    next: u64,
}

impl Rng for Jitter {
    fn next_u64(&mut self) -> u64 {
        self.next += 1;
        self.draws.bits(self.next)
    }
}
