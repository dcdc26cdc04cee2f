//! Faults of WebSockets, over real sockets.

use std::time::{Duration, Instant};

use sabot_proxy::ToxicPatch;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::*;
use crate::upgrade::upgraded_under;

const NAME: &str = "websocket_downstream";

/// As the client sends it: masked, with a mask that changes nothing.
const UP: &[u8] = b"\x81\x82\0\0\0\0up";
const DOWN: &[u8] = b"\x81\x04down";

fn websocket(attributes: Value) -> Option<sabot_toxics::ToxicSpec> {
    Some(simple("websocket", attributes))
}

fn applied(controller: &sabot_proxy::Controller) -> u64 {
    controller.proxy("p").unwrap().toxics[0].applied
}

#[tokio::test]
async fn messages_are_delayed_both_ways_and_ends_pass() {
    let fault = json!({"delay": 40, "after": 1});
    let (controller, mut client, mut server) = upgraded_under(websocket(fault)).await;
    client.write_all(UP).await.unwrap();
    assert_eq!(bytes(&mut server, UP.len()).await, UP, "the first one is let through");
    for _ in 0..3 {
        let before = Instant::now();
        client.write_all(UP).await.unwrap();
        assert_eq!(bytes(&mut server, UP.len()).await, UP);
        assert!(before.elapsed() >= Duration::from_millis(40));
        let before = Instant::now();
        server.write_all(DOWN).await.unwrap();
        assert_eq!(bytes(&mut client, DOWN.len()).await, DOWN);
        assert!(before.elapsed() >= Duration::from_millis(40));
    }
    assert_eq!(applied(&controller), 1, "once for the request");
    client.shutdown().await.unwrap();
    assert_eq!(leftover(&mut server).await, "");
    server.write_all(DOWN).await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(leftover(&mut client).await.as_bytes(), b"\xef\xbf\xbd\x04down");
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn what_is_held_leaves_with_the_toxic_or_its_update() {
    for update in [None, Some(json!({"delay": 1}))] {
        let (controller, mut client, mut server) =
            upgraded_under(websocket(json!({"delay": 60_000, "after": 1}))).await;
        client.write_all(UP).await.unwrap();
        assert_eq!(bytes(&mut server, UP.len()).await, UP);
        let mut events = controller.events("p").unwrap();
        client.write_all(UP).await.unwrap();
        next_of(&mut events, "toxic_applied").await;
        match update {
            None => controller.remove_toxic("p", NAME).unwrap(),
            Some(update) => {
                let attributes = update.as_object().cloned();
                let patch = ToxicPatch { attributes, ..ToxicPatch::default() };
                drop(controller.update_toxic("p", NAME, patch).unwrap());
            }
        }
        assert_eq!(bytes(&mut server, UP.len()).await, UP);
        // And what comes later passes.
        client.write_all(UP).await.unwrap();
        assert_eq!(bytes(&mut server, UP.len()).await, UP);
    }
}

#[tokio::test]
async fn a_close_is_seen_by_both() {
    let fault = json!({"side": "response", "after": 2, "close": 1012, "reason": "restart"});
    let (_controller, mut client, mut server) = upgraded_under(websocket(fault)).await;
    // One message came with the answer; it is not complete.
    server.write_all(b"\x80\0").await.unwrap();
    assert_eq!(bytes(&mut client, 2).await, b"\x80\0");
    server.write_all(&[DOWN, DOWN].concat()).await.unwrap();
    let close = b"\x88\x09\x03\xf4restart";
    assert_eq!(bytes(&mut client, DOWN.len() + close.len()).await, [DOWN, close].concat());
    let answer = b"\x88\x82\0\0\0\0\x03\xf4";
    client.write_all(answer).await.unwrap();
    assert_eq!(bytes(&mut server, answer.len()).await, answer);
    server.write_all(b"\x88\x02\x03\xf4").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(leftover(&mut client).await, "", "one close is enough");
}

#[tokio::test]
async fn a_reset_is_passed_on_and_named() {
    let latency = || Some(simple("latency", json!({"latency": 1})));
    for fault in [|| None, || websocket(json!({"delay": 1})), latency] {
        for (by_client, reason) in [(true, "client_reset"), (false, "upstream_reset")] {
            let (controller, mut client, mut server) = upgraded_under(fault()).await;
            let mut events = controller.events("p").unwrap();
            client.write_all(UP).await.unwrap();
            bytes(&mut server, UP.len()).await;
            let (breaks, mut hears) = if by_client { (client, server) } else { (server, client) };
            reset(breaks);
            assert!(was_reset(&mut hears).await, "{reason}");
            let closed = next_of(&mut events, "connection_closed").await;
            assert_eq!(closed["reason"], reason);
        }
    }
}

#[tokio::test]
async fn a_kill_and_a_fault_reset_both_sides() {
    for killed in [true, false] {
        let (controller, mut client, mut server) =
            upgraded_under(Some(simple("http_delay", json!({"delay": 1})))).await;
        let mut events = controller.events("p").unwrap();
        let reason = if killed {
            let id = controller.connections(Some("p")).unwrap()[0].id;
            controller.close_connection("p", id).unwrap();
            "closed"
        } else {
            controller.add_toxic("p", simple("reset_peer", json!({}))).unwrap();
            "toxic_reset"
        };
        assert!(was_reset(&mut client).await && was_reset(&mut server).await, "{reason}");
        assert_eq!(next_of(&mut events, "connection_closed").await["reason"], reason);
    }
}

#[tokio::test]
async fn a_kill_ends_what_is_held() {
    let (controller, mut client, mut server) =
        upgraded_under(websocket(json!({"delay": 60_000, "after": 1}))).await;
    client.write_all(&[UP, UP].concat()).await.unwrap();
    bytes(&mut server, UP.len()).await;
    let id = controller.connections(Some("p")).unwrap()[0].id;
    controller.close_connection("p", id).unwrap();
    assert!(was_reset(&mut client).await);
    leftover(&mut server).await;
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn another_protocol_is_not_touched() {
    let (addr, mut connections) = manual().await;
    let (controller, proxy) = http_proxy(addr).await;
    controller.add_toxic("p", simple("websocket", json!({"drop": 1, "close": 1000}))).unwrap();
    let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    let mut client = raw(&proxy, ask).await;
    let mut server = within(connections.recv()).await.unwrap();
    head(&mut server).await;
    let agree = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    server.write_all(agree.as_bytes()).await.unwrap();
    head(&mut client).await;
    client.write_all(UP).await.unwrap();
    assert_eq!(bytes(&mut server, UP.len()).await, UP);
    server.write_all(DOWN).await.unwrap();
    assert_eq!(bytes(&mut client, DOWN.len()).await, DOWN);
    assert_eq!(applied(&controller), 0);
}
