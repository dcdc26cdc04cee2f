//! When bytes leave: in virtual time, to the nanosecond.

use std::time::Duration;

use sabot_toxics::Direction;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Rig, toxic};

/// Gives the relay time to do whatever it would do now.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn latency_delays_by_exactly_what_was_asked() {
    let mut rig = Rig::new(&[toxic("latency", "downstream", json!({"latency": 100}))]).await;
    rig.upstream.write_all(b"ping").await.unwrap();
    assert_eq!(rig.next_deadline().await, Duration::from_millis(100));
    let mut heard = [0; 4];
    rig.client.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"ping");
    settle().await;
    assert_eq!(rig.clock.next_deadline(), None);
}

#[tokio::test]
async fn removing_a_latency_releases_what_it_holds_at_once() {
    let mut rig = Rig::new(&[toxic("latency", "upstream", json!({"latency": 60_000}))]).await;
    rig.client.write_all(b"held").await.unwrap();
    while rig.shared.received(Direction::Upstream) < 4 {
        tokio::task::yield_now().await;
    }
    settle().await;
    assert_eq!(rig.shared.held(), 4);
    rig.set(&[]);
    let mut heard = [0; 4];
    rig.upstream.read_exact(&mut heard).await.unwrap();
    settle().await;
    assert_eq!((rig.shared.held(), rig.shared.sent(Direction::Upstream)), (0, 4));
    assert_eq!(rig.clock.next_deadline(), None);
}

#[tokio::test]
async fn what_the_fast_way_could_not_write_meets_a_toxic_that_arrives() {
    let mut rig = Rig::new(&[]).await;
    // The upstream does not read: what it does not take lies in the relay.
    let mut written = 0;
    loop {
        settle().await;
        match rig.client.try_write(&[1; 65_536]) {
            Ok(more) => written += more as u64,
            Err(_) => break,
        }
    }
    settle().await;
    rig.set(&[toxic("latency", "upstream", json!({"latency": 1000}))]);
    settle().await;
    let passed = rig.shared.sent(Direction::Upstream);
    assert!(rig.shared.held() > 0 && passed < written);
    drop(rig.client);
    // Before the deadline only what had passed arrives, after it all of it.
    let mut early = vec![0; usize::try_from(passed).unwrap()];
    rig.upstream.read_exact(&mut early).await.unwrap();
    let mut rest = tokio::spawn(async move {
        let mut rest = Vec::new();
        rig.upstream.read_to_end(&mut rest).await.unwrap();
        rest.len() as u64
    });
    settle().await;
    assert!(!rest.is_finished());
    while !rest.is_finished() {
        rig.clock.advance(Duration::from_millis(100));
        settle().await;
    }
    assert_eq!(passed + (&mut rest).await.unwrap(), written);
}

#[tokio::test]
async fn a_spent_budget_stops_reading_and_lets_go_again() {
    let slow = toxic("latency", "upstream", json!({"latency": 1000}));
    let mut rig = Rig::within(&[slow], 100_000).await;
    rig.shared.policy.budget.replace(0, 100_000);
    rig.client.write_all(&[3; 60_000]).await.unwrap();
    settle().await;
    assert_eq!(rig.shared.held(), 16 * 1024);
    rig.shared.policy.budget.replace(100_000, 0);
    assert_eq!(rig.next_deadline().await, Duration::from_millis(5));
    settle().await;
    assert_eq!(rig.shared.held(), 60_000);
    drop(rig.client);
    rig.clock.advance(Duration::from_secs(2));
    let mut all = Vec::new();
    rig.clock.advance(Duration::from_secs(2));
    settle().await;
    rig.clock.advance(Duration::from_secs(2));
    rig.upstream.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, [3; 60_000]);
}
