//! The circuit breaker: tower-resilience's, behind what we need of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metrics::Gauge;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt};
use tower_resilience_circuitbreaker::classifier::FailureClassifier;
use tower_resilience_circuitbreaker::{
    CircuitBreakerError, CircuitBreakerHandle, CircuitBreakerLayer, CircuitState, SlidingWindowType,
};

use super::Answer;
use crate::metrics::{BREAKER_STATE, BREAKER_TRANSITIONS, Meter};

/// Over so long the share of failures counts. (The crate's windows by count do not
/// slide: they count from the last change of state on, and would grow ever duller.)
const WINDOW: Duration = Duration::from_secs(2);
/// Before so many nothing is concluded.
const LEAST_CALLS: usize = 10;
const FAILURE_SHARE: f64 = 0.5;
/// How long it stays open before it lets calls try again.
const OPEN: Duration = Duration::from_secs(2);
const TRIALS: usize = 3;

/// A breaker for the calls of one kind to one target.
pub(super) struct Breaker {
    layer: Option<(CircuitBreakerLayer<Failures>, CircuitBreakerHandle<Failures>)>,
    state: Gauge,
    began: Instant,
    /// When it last opened, in ms since `began`; 0 if it is not open.
    opened_ms: Arc<AtomicU64>,
}

/// The breaker does not let the call through.
#[derive(Debug, thiserror::Error)]
#[error("the circuit breaker is open")]
pub(super) struct Open;

impl Breaker {
    pub(super) fn new(meter: &Meter, dependency: &str, class: &'static str) -> Self {
        let (meter_of, name) = (meter.clone(), dependency.to_owned());
        let began = Instant::now();
        let opened_ms = Arc::new(AtomicU64::new(0));
        let opened = Arc::clone(&opened_ms);
        let built = CircuitBreakerLayer::builder()
            .name(format!("{dependency} {class}"))
            .sliding_window_type(SlidingWindowType::TimeBased)
            .sliding_window_duration(WINDOW)
            .minimum_number_of_calls(LEAST_CALLS)
            .failure_rate_threshold(FAILURE_SHARE)
            .wait_duration_in_open(OPEN)
            .permitted_calls_in_half_open(TRIALS)
            .failure_classifier_type(Failures)
            .on_state_transition(move |_, to| {
                let now_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
                opened.store(if to == CircuitState::Open { now_ms } else { 0 }, Ordering::Relaxed);
                let labels = [("dependency", &*name), ("class", class), ("to", word(to))];
                meter_of.count(BREAKER_TRANSITIONS, &labels);
            })
            .build_with_handle();
        Self {
            // Refused only for shares and sizes out of range, which the constants are not.
            layer: built.ok(),
            state: meter.gauge(BREAKER_STATE, &[("dependency", dependency), ("class", class)]),
            began,
            opened_ms,
        }
    }

    /// `inner` behind the breaker.
    pub(super) fn around<T: Answer>(
        &self,
        inner: BoxCloneSyncService<(), T, BoxError>,
    ) -> BoxCloneSyncService<(), T, BoxError> {
        let Some((layer, _)) = &self.layer else { return inner };
        let guarded = layer.layer(inner).map_err(|error| match error {
            CircuitBreakerError::OpenCircuit => BoxError::from(Open),
            CircuitBreakerError::Inner(error) => error,
        });
        BoxCloneSyncService::new(guarded)
    }

    pub(super) fn is_resting(&self) -> bool {
        let opened = Duration::from_millis(self.opened_ms.load(Ordering::Relaxed));
        opened > Duration::ZERO && self.began.elapsed() < opened + OPEN
    }

    pub(super) fn publish(&self, on: bool) {
        let state = match &self.layer {
            Some((_, handle)) if on => handle.state(),
            _ => CircuitState::Closed,
        };
        self.state.set(match state {
            CircuitState::Closed => 0.0,
            CircuitState::HalfOpen => 1.0,
            CircuitState::Open => 2.0,
        });
    }
}

fn word(state: CircuitState) -> &'static str {
    match state {
        CircuitState::Closed => "closed",
        CircuitState::HalfOpen => "half_open",
        CircuitState::Open => "open",
    }
}

/// What counts as a failure of the dependency. That its share is in use does not.
struct Failures;

impl<T: Answer> FailureClassifier<T, BoxError> for Failures {
    fn classify(&self, result: &Result<T, BoxError>) -> bool {
        match result {
            Ok(answer) => answer.is_failure(),
            Err(error) => !error.is::<tower::load_shed::error::Overloaded>(),
        }
    }
}
