use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::draws::Draws;

/// An answer that says by itself whether it is a failure.
#[derive(Debug, PartialEq)]
struct Said(bool);

impl Answer for Said {
    fn is_failure(&self) -> bool {
        self.0
    }
}

const LIMITS: Limits = Limits { timeout: Duration::from_millis(100), share: 2 };

fn only(mitigation: Mitigation) -> Mitigations {
    Mitigations::NONE.with(mitigation, true)
}

fn guard() -> Guard {
    Guard::new(&Meter::new("test"), "dependency", "read", LIMITS)
}

async fn never() -> Result<Said, BoxError> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_soon_or_after_the_naive_limit() {
    for (on, limit) in [(only(Mitigation::Timeout), LIMITS.timeout), (Mitigations::NONE, NAIVE_TIMEOUT)] {
        let began = tokio::time::Instant::now();
        let error = guard().call(on, never).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout(_)), "{error}");
        assert!(
            (limit..limit + Duration::from_millis(5)).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_refuses_at_once_what_exceeds_the_share() {
    let guard = Arc::new(guard());
    let on = only(Mitigation::Bulkhead);
    let calls: Vec<_> = (0..LIMITS.share)
        .map(|_| {
            let guard = Arc::clone(&guard);
            tokio::spawn(async move { guard.call(on, never).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let began = tokio::time::Instant::now();
    let error = guard.call(on, never).await.unwrap_err();
    assert!(matches!(error, CallError::Overloaded(_)), "{error}");
    assert_eq!(began.elapsed(), Duration::ZERO);
    // Off, the same call is let through to wait.
    let waits = tokio::time::timeout(Duration::from_secs(1), guard.call(Mitigations::NONE, never)).await;
    assert!(waits.is_err());
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_breaker_opens_on_failures_and_lets_nothing_through() {
    let guard = guard();
    let on = only(Mitigation::CircuitBreaker);
    let reached = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&reached);
    let fails = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, BoxError>(Said(true)) }
    };
    for _ in 0..20 {
        let _ = guard.call(on, fails.clone()).await;
    }
    assert_eq!(reached.load(Ordering::Relaxed), 10, "it opens as soon as it may conclude anything");
    assert!(matches!(guard.call(on, fails.clone()).await.unwrap_err(), CallError::Open(_)));
    assert!(guard.is_resting(on) && !guard.is_resting(Mitigations::NONE));
    assert_eq!(guard.call(Mitigations::NONE, fails).await.unwrap(), Said(true));
    let text = |on| {
        guard.publish(on);
        guard.meter.render()
    };
    let state = "lab_breaker_state{service=\"test\",dependency=\"dependency\",class=\"read\"}";
    assert!(text(on).contains(&format!("{state} 2")));
    assert!(text(Mitigations::NONE).contains(&format!("{state} 0")));
}

#[tokio::test]
async fn a_breaker_ignores_that_its_own_bulkhead_is_full() {
    let guard = Arc::new(guard());
    let on = only(Mitigation::CircuitBreaker).with(Mitigation::Bulkhead, true);
    let held: Vec<_> = (0..LIMITS.share)
        .map(|_| {
            let guard = Arc::clone(&guard);
            tokio::spawn(async move { guard.call(on, never).await })
        })
        .collect();
    tokio::task::yield_now().await;
    for _ in 0..30 {
        assert!(matches!(guard.call(on, never).await.unwrap_err(), CallError::Overloaded(_)));
    }
    assert!(!guard.is_resting(on));
    held.iter().for_each(tokio::task::JoinHandle::abort);
}

/// How often a failing dependency is called for `calls` calls.
async fn attempts(on: Mitigations, calls: u32) -> u32 {
    let retries = Retries::new(&Meter::new("test"), "dependency", Draws::new(1, "retries"));
    let reached = AtomicU32::new(0);
    for _ in 0..calls {
        let attempt = || async {
            reached.fetch_add(1, Ordering::Relaxed);
            Ok(Said(true))
        };
        assert_eq!(retries.run(on, attempt).await.unwrap(), Said(true));
    }
    reached.into_inner()
}

#[tokio::test(start_paused = true)]
async fn naive_retries_multiply_the_load_and_a_budget_flattens_them() {
    assert_eq!(attempts(Mitigations::NONE, 100).await, 400);
    let budgeted = attempts(only(Mitigation::RetryBudget), 100).await;
    // The least per second, over the seconds that are remembered.
    assert!((101..=120).contains(&budgeted), "{budgeted}");
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_is_not_retried() {
    let retries = Retries::new(&Meter::new("test"), "dependency", Draws::new(1, "retries"));
    let reached = AtomicU32::new(0);
    let attempt = || async {
        reached.fetch_add(1, Ordering::Relaxed);
        Err::<Said, _>(CallError::Open("dependency".into()))
    };
    assert!(retries.run(Mitigations::NONE, attempt).await.is_err());
    assert_eq!(reached.into_inner(), 1);
}
