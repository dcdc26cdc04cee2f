//! Stream toxics beneath HTTP, and what the controller sees and does of connections.

use std::time::{Duration, Instant};

use http::{Method, Response, Version};
use http_body_util::BodyExt;
use sabot_proxy::Controller;
use serde_json::json;

use crate::faults::attributes;
use crate::support::*;

/// A connection of each version, before and after the toxic has come.
async fn clients(
    controller: &Controller,
    proxy: &sabot_proxy::ProxyView,
    add: impl Fn(&Controller),
) -> Vec<Client> {
    let mut clients = Vec::new();
    for version in BOTH {
        let mut client = Client::new(proxy, version).await;
        client.get("/").await;
        clients.push(client);
    }
    add(controller);
    for version in BOTH {
        clients.push(Client::new(proxy, version).await);
    }
    clients
}

#[tokio::test]
async fn latency_acts_on_old_and_new_connections_and_goes() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let mut clients = clients(&controller, &proxy, |controller| {
        controller.add_toxic("p", simple("latency", json!({"latency": 500}))).unwrap();
    })
    .await;
    for client in &mut clients {
        let before = Instant::now();
        client.get("/").await;
        assert!(before.elapsed() >= Duration::from_millis(500), "{:?}", before.elapsed());
    }
    drop(controller.update_toxic("p", "latency_downstream", attributes(json!({"latency": "1h"}))).unwrap());
    controller.remove_toxic("p", "latency_downstream").unwrap();
    for client in &mut clients {
        within(client.get("/")).await;
    }
}

#[tokio::test]
async fn latency_that_is_removed_lets_go_of_the_answer() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    for version in BOTH {
        let mut client = Client::new(&proxy, version).await;
        client.get("/").await;
        controller.add_toxic("p", simple("latency", json!({"latency": "1h"}))).unwrap();
        let asking = tokio::spawn(async move { client.get("/").await.0.status().as_u16() });
        until(|| controller.connections(Some("p")).unwrap().iter().any(|it| it.held_bytes > 0)).await;
        controller.remove_toxic("p", "latency_downstream").unwrap();
        assert_eq!(within(asking).await.unwrap(), 200, "{version:?}");
    }
}

#[tokio::test]
async fn bandwidth_paces_the_answers() {
    let upstream = Upstream::new(|_| async { Response::new(full(vec![7; 60_000])) }).await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let mut clients = clients(&controller, &proxy, |controller| {
        // 200 KB/s: the answer takes 0.3 s.
        controller.add_toxic("p", simple("bandwidth", json!({"rate": 200}))).unwrap();
    })
    .await;
    for client in &mut clients {
        let before = Instant::now();
        assert_eq!(client.get("/").await.1.len(), 60_000);
        assert!(before.elapsed() >= Duration::from_millis(200), "{:?}", before.elapsed());
    }
}

#[tokio::test]
async fn a_slow_link_delivers_all_of_the_last_answer() {
    let upstream = Upstream::new(|_| async { Response::new(full(vec![7; 30_000])) }).await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    controller.add_toxic("p", simple("latency", json!({"latency": 400}))).unwrap();
    let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let answer = rest(&mut client).await.unwrap();
    assert!(answer.ends_with(&[7; 30_000]), "{}", answer.len());
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn a_reset_of_the_link_resets_clients_old_and_new() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let mut idle = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    head(&mut idle).await;
    let mut events = controller.events("p").unwrap();
    controller.add_toxic("p", simple("reset_peer", json!({"timeout": 0}))).unwrap();
    assert!(was_reset(&mut idle).await);
    assert_eq!(next_of(&mut events, "connection_closed").await["reason"], "toxic_reset");
    assert!(is_reset(&proxy).await);
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn connections_are_seen_counted_and_killed() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let sent = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = raw(&proxy, sent).await;
    let answer = head(&mut client).await;
    let bytes = [sent.len() as u64, answer.len() as u64];
    // The client may have its answer before the worker has counted it.
    until(|| controller.totals()[0].sent == bytes).await;
    let live = controller.connections(Some("p")).unwrap();
    assert_eq!((live.len(), live[0].state), (1, "open"));
    assert_eq!([live[0].bytes_upstream, live[0].bytes_downstream], bytes);
    let mut events = controller.events("p").unwrap();
    controller.close_connection("p", live[0].id).unwrap();
    assert!(was_reset(&mut client).await);
    let closed = next_of(&mut events, "connection_closed").await;
    assert_eq!((&closed["reason"], &closed["bytes_downstream"]), (&json!("closed"), &json!(answer.len())));
}

#[tokio::test]
async fn bytes_are_counted_beneath_a_stream_toxic_too() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let sent = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = raw(&proxy, sent).await;
    let answer = head(&mut client).await;
    controller.add_toxic("p", simple("latency", json!({"latency": 1}))).unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut client, sent.as_bytes()).await.unwrap();
    assert_eq!(head(&mut client).await, answer);
    drop(client);
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
    assert_eq!(controller.totals()[0].sent, [2 * sent.len() as u64, 2 * answer.len() as u64]);
}

#[tokio::test]
async fn nothing_is_left_when_all_is_closed() {
    let upstream = Upstream::echo().await;
    let controller = one_worker(|_| {});
    let idle = controller.tasks();
    let proxy = add_proxy(&controller, upstream.addr).await;
    let names = ["latency", "http_delay"];
    for round in 0..3 {
        let mut clients = Vec::new();
        for version in BOTH {
            let mut client = Client::new(&proxy, version).await;
            client.get("/").await;
            clients.push(client);
        }
        let mut grpc = Client::new(&proxy, Version::HTTP_2).await;
        let request = grpc.request(Method::POST, "/s/m").header("content-type", "application/grpc");
        let answer = grpc.send(request.body(full("x")).unwrap()).await.unwrap();
        answer.into_body().collect().await.unwrap();
        if let Some(name) = names.get(round) {
            let field = if *name == "latency" { "latency" } else { "delay" };
            controller.add_toxic("p", simple(name, json!({field: 5}))).unwrap();
        }
        for client in &mut clients {
            client.get("/").await;
        }
    }
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
    controller.delete("p").await.unwrap();
    until(|| controller.tasks() <= idle).await;
    until(|| upstream.open() == 0).await;
}
