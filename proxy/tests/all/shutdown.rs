//! The end of a controller: new clients are refused, old ones get their time.

use std::time::{Duration, Instant};

use sabot_proxy::{ControlError, ProxySpec};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::*;

#[tokio::test]
async fn connections_may_end_by_themselves() {
    let (controller, proxy) = echo_proxy().await;
    controller.add_toxic("p", simple("latency", json!({"latency": 50}))).unwrap();
    let mut client = connect(&proxy).await;
    client.write_all(b"last words").await.unwrap();
    until(|| controller.totals()[0].held_bytes > 0).await;
    let stopping = controller.clone();
    let stopping = tokio::spawn(async move { stopping.shutdown(Duration::from_secs(3600)).await });
    within(async { while !is_refused(&proxy.listen).await {} }).await;
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"last words");
    within(stopping).await.unwrap();
}

#[tokio::test]
async fn the_drain_has_an_end() {
    let (controller, proxy) = echo_proxy().await;
    let mut client = open(&proxy).await;
    let before = Instant::now();
    within(controller.shutdown(Duration::from_millis(100))).await;
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(100), "{took:?}");
    assert_eq!(rest(&mut client).await.unwrap_or_default(), b"");
}

#[tokio::test]
async fn nothing_can_be_changed_any_more() {
    let (controller, _) = echo_proxy().await;
    within(controller.shutdown(Duration::ZERO)).await;
    let refused = [
        controller.create(ProxySpec::new("q", "x:1")).await.err(),
        controller.populate(Vec::new()).await.err(),
        controller.delete("p").await.err(),
        controller.reset().await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(ControlError::ShuttingDown)), "{error:?}");
    }
    // Once more is harmless.
    within(controller.shutdown(Duration::ZERO)).await;
}
