//! What stands around every call of a dependency.
//!
//! From outside in: retries ([`Retries`]), then for the one target that was chosen
//! its circuit breaker, its bulkhead, the timeout ([`Guard`]), then the connection
//! pool, which is no mitigation. Each is a tower layer; which of them are there is
//! decided anew for each call, while their state (window of the breaker, share of
//! the bulkhead, budget of the retries) lives on.
//!
//! | mitigation | on | off |
//! |---|---|---|
//! | timeout | the dependency's own limit, per try | [`NAIVE_TIMEOUT`], as clients have by default |
//! | retry_budget | up to 2 retries, at most 10 % of calls, jittered back-off | [`retry::NAIVE_RETRIES`] at once |
//! | circuit_breaker | opens for 2 s when half of the calls of the last 2 s failed | – |
//! | bulkhead | refuses what exceeds the dependency's share | – |

mod breaker;
mod retry;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::{LoadShedLayer, error::Overloaded};
use tower::timeout::{TimeoutLayer, error::Elapsed};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

use crate::metrics::{BULKHEAD_REJECTED, CALL_DURATION, CALLS, Meter};
use crate::mitigation::{Mitigation, Mitigations};
use breaker::Breaker;
pub(crate) use retry::Retries;

/// How long a client without a timeout of its own waits: what HTTP libraries and
/// drivers commonly default to.
pub(crate) const NAIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer that can say that the dependency failed, although it answered.
pub(crate) trait Answer: Send + 'static {
    fn is_failure(&self) -> bool;
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("{0} did not answer in time")]
    Timeout(Arc<str>),
    #[error("{0} fails too often: its circuit breaker is open")]
    Open(Arc<str>),
    #[error("all that may call {0} at once do so already")]
    Overloaded(Arc<str>),
    #[error("failed to call {0}: {1}")]
    Failed(Arc<str>, Arc<str>),
}

impl CallError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Open(_) => "open",
            Self::Overloaded(_) => "rejected",
            Self::Failed(..) => "failed",
        }
    }

    /// Whether the dependency itself failed. What was never sent to it says nothing
    /// about it, and would be refused again.
    fn is_of_dependency(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Failed(..))
    }
}

/// What one dependency may take.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Per try, with the mitigation on.
    pub timeout: Duration,
    /// Calls at once, with the bulkhead on.
    pub share: usize,
}

/// Guards the calls of one kind to one target.
pub(crate) struct Guard {
    name: Arc<str>,
    class: &'static str,
    limits: Limits,
    share: Arc<Semaphore>,
    breaker: Breaker,
    meter: Meter,
}

impl Guard {
    /// `class` tells apart what is guarded apart: reads must not be refused because writes fail.
    pub(crate) fn new(meter: &Meter, name: &str, class: &'static str, limits: Limits) -> Self {
        Self {
            name: name.into(),
            class,
            limits,
            share: Arc::new(Semaphore::new(limits.share)),
            breaker: Breaker::new(meter, name, class),
            meter: meter.clone(),
        }
    }

    /// One call: `operation` under the mitigations that are on. Cancel safe if it is.
    pub(crate) async fn call<T, F, W>(&self, on: Mitigations, operation: F) -> Result<T, CallError>
    where
        T: Answer,
        F: Fn() -> W + Clone + Send + Sync + 'static,
        W: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let began = Instant::now();
        let timeout = if on.has(Mitigation::Timeout) { self.limits.timeout } else { NAIVE_TIMEOUT };
        let bulkhead = on.has(Mitigation::Bulkhead);
        let service = ServiceBuilder::new()
            .option_layer(bulkhead.then(LoadShedLayer::new))
            .option_layer(
                bulkhead.then(|| GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&self.share))),
            )
            .layer(TimeoutLayer::new(timeout))
            .service(service_fn(move |()| operation()));
        let service = BoxCloneSyncService::new(service);
        let result = if on.has(Mitigation::CircuitBreaker) {
            self.breaker.around(service).oneshot(()).await
        } else {
            service.oneshot(()).await
        };
        let result = result.map_err(|error| self.error(&error));
        self.record(began, &result);
        result
    }

    /// Whether its breaker is open and not yet due for a trial.
    pub(crate) fn is_resting(&self, on: Mitigations) -> bool {
        on.has(Mitigation::CircuitBreaker) && self.breaker.is_resting()
    }

    /// Brings gauges up to date that nobody updates meanwhile.
    pub(crate) fn publish(&self, on: Mitigations) {
        self.breaker.publish(on.has(Mitigation::CircuitBreaker));
    }

    fn error(&self, error: &BoxError) -> CallError {
        let name = Arc::clone(&self.name);
        if error.is::<Elapsed>() {
            CallError::Timeout(name)
        } else if error.is::<Overloaded>() {
            CallError::Overloaded(name)
        } else if error.is::<breaker::Open>() {
            CallError::Open(name)
        } else {
            CallError::Failed(name, chain(error.as_ref()).into())
        }
    }

    fn record<T: Answer>(&self, began: Instant, result: &Result<T, CallError>) {
        let outcome = match result {
            Ok(answer) if answer.is_failure() => "error",
            Ok(_) => "ok",
            Err(error) => error.outcome(),
        };
        let labels = [("dependency", &*self.name), ("class", self.class), ("outcome", outcome)];
        self.meter.count(CALLS, &labels);
        match result {
            Err(CallError::Overloaded(_)) => {
                self.meter.count(BULKHEAD_REJECTED, &[("share", &*self.name)]);
            }
            Err(CallError::Open(_)) => {}
            _ => self.meter.observe(CALL_DURATION, &labels[..2], began.elapsed()),
        }
    }
}

/// An error with its causes: a transport's own text says little.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = fmt::Write::write_fmt(&mut text, format_args!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
