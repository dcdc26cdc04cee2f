//! Toxics of a proxy: their rules, and how fast they reach live connections.

use std::time::{Duration, Instant};

use sabot_proxy::{ControlError, ProxySpec, ToxicPatch};
use sabot_toxics::read_when;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

fn attributes(value: serde_json::Value) -> ToxicPatch {
    ToxicPatch { attributes: value.as_object().cloned(), ..ToxicPatch::default() }
}

#[tokio::test]
async fn names_are_unique_over_both_directions() {
    let (controller, _) = echo_proxy().await;
    let added = controller.add_toxic("p", simple("latency", json!({"latency": 1}))).unwrap();
    assert_eq!((added.name.as_str(), added.toxicity), ("latency_downstream", 1.0));
    let same = toxic(json!({"type": "noop", "name": "latency_downstream", "stream": "upstream"}));
    assert!(matches!(controller.add_toxic("p", same), Err(ControlError::ToxicExists { .. })));
    let unknown = controller.add_toxic("q", simple("noop", json!({})));
    assert!(matches!(unknown, Err(ControlError::ProxyNotFound { .. })));
}

#[tokio::test]
async fn listings_give_the_upstream_chain_first() {
    let (controller, _) = echo_proxy().await;
    for (name, stream) in [("a", "downstream"), ("b", "upstream"), ("c", "downstream"), ("d", "upstream")] {
        controller.add_toxic("p", toxic(json!({"type": "noop", "name": name, "stream": stream}))).unwrap();
    }
    assert_eq!(names(&controller, "p"), ["b", "d", "a", "c"]);
    controller.remove_toxic("p", "d").unwrap();
    assert_eq!(names(&controller, "p"), ["b", "a", "c"]);
    assert!(matches!(controller.remove_toxic("p", "d"), Err(ControlError::ToxicNotFound { .. })));
}

#[tokio::test]
async fn an_update_merges_and_a_rejected_one_changes_nothing() {
    let (controller, _) = echo_proxy().await;
    controller.add_toxic("p", simple("latency", json!({"latency": 5, "jitter": 2}))).unwrap();
    let name = "latency_downstream";
    let after = controller.update_toxic("p", name, attributes(json!({"latency": 7}))).unwrap();
    assert_eq!((&after.attributes["latency"], &after.attributes["jitter"]), (&json!(7), &json!(2)));
    let half = ToxicPatch { toxicity: Some(0.5), ..attributes(json!({"jitter": "x"})) };
    for (patch, field) in [
        (half, "attributes.jitter"),
        (attributes(json!({"latncy": 1})), "attributes.latncy"),
        (ToxicPatch { toxicity: Some(-1.0), ..attributes(json!({"latency": 1})) }, "toxicity"),
    ] {
        let error = controller.update_toxic("p", name, patch).unwrap_err();
        assert!(matches!(&error, ControlError::Invalid(invalid) if invalid.field == field), "{error:?}");
    }
    let kept = controller.toxic("p", name).unwrap();
    assert_eq!((kept.toxicity, &kept.attributes), (1.0, &after.attributes));
}

#[tokio::test]
async fn a_live_connection_gets_a_toxic_and_loses_it_at_once() {
    let (controller, proxy) = echo_proxy().await;
    let mut client = open(&proxy).await;
    controller.add_toxic("p", simple("latency", json!({"latency": "1h"}))).unwrap();
    client.write_all(b"held").await.unwrap();
    let mut events = controller.events("p").unwrap();
    // It is under way now: the toxic has it.
    until(|| controller.connections(Some("p")).unwrap()[0].held_bytes > 0).await;
    controller.remove_toxic("p", "latency_downstream").unwrap();
    let mut back = [0; 4];
    within(client.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"held");
    next_of(&mut events, "toxic_removed").await;
}

#[tokio::test]
async fn removal_does_not_wait_for_a_client_that_does_not_read() {
    let controller = controller();
    let flood = serve(|mut stream| async move {
        let block = vec![7; 1 << 16];
        while stream.write_all(&block).await.is_ok() {}
    })
    .await;
    let proxy = controller.create(ProxySpec::new("p", flood.to_string())).await.unwrap();
    controller.add_toxic("p", simple("latency", json!({"latency": 1}))).unwrap();
    let mut client = connect(&proxy).await;
    until(|| controller.totals()[0].held_bytes >= 1 << 18).await;
    controller.remove_toxic("p", "latency_downstream").unwrap();
    let mut some = vec![0; 4 << 20];
    within(client.read_exact(&mut some)).await.unwrap();
    assert!(some.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn the_server_removes_what_has_expired() {
    let (controller, _) = echo_proxy().await;
    let mut events = controller.events("p").unwrap();
    let lease = |ms: u64| json!({"type": "noop", "name": ms.to_string(), "when": {"expires_after": ms}});
    let before = Instant::now();
    const HOUR: u64 = 3_600_000;
    // Some end before all that the server waits for by then.
    for ms in [HOUR, 250, 50, 150] {
        let added = controller.add_toxic("p", toxic(lease(ms))).unwrap();
        let left = added.expires_in_ms.unwrap();
        assert!(left <= ms as f64, "{left}");
    }
    for ms in [50, 150, 250] {
        let gone = next_of(&mut events, "toxic_removed").await;
        assert_eq!(gone["toxic"], ms.to_string());
        assert!(before.elapsed() >= Duration::from_millis(ms), "early");
    }
    assert_eq!(names(&controller, "p"), [HOUR.to_string()]);
}

#[tokio::test]
async fn an_update_keeps_the_lease_and_a_new_one_counts_from_now() {
    let (controller, _) = echo_proxy().await;
    let mut events = controller.events("p").unwrap();
    let before = Instant::now();
    for name in ["kept", "longer", "freed"] {
        let spec = json!({"type": "latency", "name": name, "when": {"expires_after": 2000}});
        controller.add_toxic("p", toxic(spec)).unwrap();
    }
    let after = controller.update_toxic("p", "kept", attributes(json!({"latency": 3}))).unwrap();
    assert!(after.expires_in_ms.is_some_and(|left| left <= 2000.0));
    let when = |value| ToxicPatch { when: Some(read_when(value).unwrap()), ..ToxicPatch::default() };
    let longer = controller.update_toxic("p", "longer", when(json!({"expires_after": "1h"}))).unwrap();
    assert!(longer.expires_in_ms.is_some_and(|left| left > 3_590_000.0));
    let freed = controller.update_toxic("p", "freed", when(json!({}))).unwrap();
    assert_eq!(freed.expires_in_ms, None);
    let gone = next_of(&mut events, "toxic_removed").await;
    assert_eq!(gone["toxic"], "kept");
    assert!(before.elapsed() >= Duration::from_millis(2000));
    assert_eq!(names(&controller, "p"), ["longer", "freed"]);
}

#[tokio::test]
async fn a_restart_keeps_the_lease() {
    let (controller, _) = echo_proxy().await;
    let mut events = controller.events("p").unwrap();
    controller.add_toxic("p", toxic(json!({"type": "noop", "when": {"expires_after": 100}}))).unwrap();
    for enabled in [Some(false), Some(true)] {
        controller.update("p", sabot_proxy::ProxyPatch { enabled, ..Default::default() }).await.unwrap();
    }
    next_of(&mut events, "toxic_removed").await;
}

/// Which of 64 connections a toxicity of one half draws.
async fn drawn(seed: u64, others: &[&str]) -> Vec<bool> {
    let controller = controller_with(|options| options.seed = seed);
    let proxy = controller.create(ProxySpec::new("p", echo().await.to_string())).await.unwrap();
    for name in others {
        controller.add_toxic("p", toxic(json!({"type": "noop", "name": name, "toxicity": 0.3}))).unwrap();
    }
    controller.add_toxic("p", toxic(json!({"type": "noop", "name": "half", "toxicity": 0.5}))).unwrap();
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(open(&proxy).await);
    }
    let live = controller.connections(Some("p")).unwrap();
    live.iter().map(|connection| connection.toxics.iter().any(|toxic| toxic == "half")).collect()
}

#[tokio::test]
async fn the_same_seed_draws_the_same_connections() {
    let first = drawn(1, &[]).await;
    let count = first.iter().filter(|drawn| **drawn).count();
    assert!((16..48).contains(&count), "{count} of 64");
    assert_eq!(drawn(1, &["a", "b"]).await, first, "other toxics move no draws");
    assert_ne!(drawn(2, &[]).await, first);
}

#[tokio::test]
async fn the_first_n_connections_count_from_when_the_toxic_was_added() {
    let (controller, proxy) = echo_proxy().await;
    let _before = open(&proxy).await;
    controller.add_toxic("p", toxic(json!({"type": "noop", "when": {"first": 2}}))).unwrap();
    let _after = [open(&proxy).await, open(&proxy).await, open(&proxy).await];
    let live = controller.connections(Some("p")).unwrap();
    let held: Vec<_> = live.iter().map(|connection| connection.toxics.len()).collect();
    assert_eq!(held, [0, 1, 1, 0]);
}

#[tokio::test]
async fn a_toxic_counts_a_connection_once() {
    let (controller, proxy) = echo_proxy().await;
    let mut events = controller.events("p").unwrap();
    controller.add_toxic("p", simple("latency", json!({"latency": 1}))).unwrap();
    let mut clients = [open(&proxy).await, open(&proxy).await];
    for client in &mut clients {
        for _ in 0..5 {
            ping(client, b"again").await.unwrap();
        }
    }
    assert_eq!(controller.toxic("p", "latency_downstream").unwrap().applied, 2);
    for _ in 0..2 {
        let applied = next_of(&mut events, "toxic_applied").await;
        assert_eq!((&applied["toxic"], &applied["kind"]), (&json!("latency_downstream"), &json!("latency")));
    }
}

#[tokio::test]
async fn a_fault_of_both_directions_counts_once_too() {
    let (controller, proxy) = echo_proxy().await;
    let mut client = open(&proxy).await;
    controller.add_toxic("p", simple("half_open", json!({}))).unwrap();
    let mut events = controller.events("p").unwrap();
    client.write_all(b"lost").await.unwrap();
    next_of(&mut events, "toxic_applied").await;
    assert_eq!(controller.toxic("p", "half_open_downstream").unwrap().applied, 1);
}

#[tokio::test]
async fn a_toxic_reaches_a_thousand_live_connections() {
    let (controller, proxy) = echo_proxy().await;
    let mut clients = Vec::new();
    for _ in 0..1000 {
        clients.push(open(&proxy).await);
    }
    controller.add_toxic("p", simple("reset_peer", json!({"timeout": 0}))).unwrap();
    for client in &mut clients {
        assert!(was_reset(client).await);
    }
}
