//! What can be seen of a proxy while it works.

use sabot_proxy::{ProxyPatch, ProxySpec, ToxicPatch};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::support::*;

#[tokio::test]
async fn a_connection_is_told_from_beginning_to_end() {
    let (controller, proxy) = echo_proxy().await;
    let mut events = controller.events("p").unwrap();
    let mut client = open(&proxy).await;
    ping(&mut client, b"12").await.unwrap();
    let opened = next_of(&mut events, "connection_opened").await;
    assert_eq!(opened["client"], client.local_addr().unwrap().to_string());
    assert_eq!(opened["upstream"], proxy.upstream);
    assert!(opened["at_ms"].as_u64().unwrap() > 1_600_000_000_000);
    drop(client);
    let closed = next_of(&mut events, "connection_closed").await;
    assert_eq!(closed["connection"], opened["connection"]);
    assert_eq!((&closed["bytes_upstream"], &closed["bytes_downstream"]), (&json!(3), &json!(3)));
    assert_eq!(closed["reason"], "finished");
}

#[tokio::test]
async fn changes_are_told_in_their_order() {
    let (controller, proxy) = echo_proxy().await;
    let mut events = controller.events("p").unwrap();
    controller.add_toxic("p", simple("noop", json!({}))).unwrap();
    let half = ToxicPatch { toxicity: Some(0.5), ..ToxicPatch::default() };
    controller.update_toxic("p", "noop_downstream", half).unwrap();
    controller.remove_toxic("p", "noop_downstream").unwrap();
    for enabled in [false, true] {
        controller.update("p", ProxyPatch { enabled: Some(enabled), ..ProxyPatch::default() }).await.unwrap();
    }
    let upstream = Some("elsewhere:1".to_owned());
    controller.update("p", ProxyPatch { upstream, ..ProxyPatch::default() }).await.unwrap();
    controller.delete("p").await.unwrap();

    let mut told = Vec::new();
    within(async {
        while let Ok(event) = events.recv().await {
            let event = serde_json::to_value(event).unwrap();
            told.push((event["type"].as_str().unwrap().to_owned(), event));
        }
    })
    .await;
    let types: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        types[..6],
        ["toxic_added", "toxic_updated", "toxic_removed", "proxy_updated", "proxy_updated", "proxy_updated"]
    );
    assert_eq!(told[0].1["kind"], "noop");
    assert_eq!(told[2].1["expired"], false);
    assert_eq!((&told[3].1["enabled"], &told[4].1["enabled"]), (&json!(false), &json!(true)));
    assert_eq!((&told[5].1["upstream"], &told[5].1["listen"]), (&json!("elsewhere:1"), &json!(proxy.listen)));
}

#[tokio::test]
async fn a_slow_listener_is_told_what_it_missed() {
    let (controller, _) = echo_proxy().await;
    let mut events = controller.events("p").unwrap();
    for _ in 0..5000 {
        controller.add_toxic("p", simple("noop", json!({}))).unwrap();
        controller.remove_toxic("p", "noop_downstream").unwrap();
    }
    assert!(matches!(events.recv().await, Err(RecvError::Lagged(missed)) if missed > 5000));
}

#[tokio::test]
async fn each_proxy_has_a_stream_of_its_own() {
    let (controller, _) = echo_proxy().await;
    controller.create(ProxySpec::new("q", "x:1")).await.unwrap();
    let mut events = controller.events("p").unwrap();
    controller.add_toxic("q", simple("noop", json!({}))).unwrap();
    assert!(events.try_recv().is_err());
    assert!(controller.events("r").is_err());
}
