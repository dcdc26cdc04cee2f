//! The end of a server: who has nothing under way is let go, the others after their answer.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Response, Version};
use sabot_proxy::Controller;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::support::*;

/// Longer than a test may take.
const LONG: Duration = Duration::from_secs(3600);

fn stop(controller: &Controller) -> JoinHandle<()> {
    let controller = controller.clone();
    tokio::spawn(async move { controller.shutdown(LONG).await })
}

/// An upstream that answers when it is told to.
async fn patient() -> (Upstream, Arc<Semaphore>) {
    let told = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&told);
    let upstream = Upstream::new(move |_| {
        let told = Arc::clone(&waiting);
        async move {
            drop(told.acquire().await);
            Response::new(full("late"))
        }
    })
    .await;
    (upstream, told)
}

/// A fault that has hyper see every request of one path.
fn hyper() -> sabot_toxics::ToxicSpec {
    simple("http_delay", json!({"delay": 1, "match": {"path": "/hyper"}}))
}

#[tokio::test]
async fn who_is_idle_is_not_waited_for() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    controller.add_toxic("p", hyper()).unwrap();
    let mut clients = Vec::new();
    for (version, path) in [
        (Version::HTTP_11, "/"),
        (Version::HTTP_11, "/hyper"),
        (Version::HTTP_2, "/"),
        (Version::HTTP_2, "/hyper"),
    ] {
        let mut client = Client::new(&proxy, version).await;
        assert_eq!(client.get(path).await.0.status(), 200);
        clients.push(client);
    }
    // And one that has said nothing yet.
    let mut silent = raw(&proxy, "").await;
    until(|| controller.proxy("p").unwrap().open_connections == 5).await;
    let mut events = controller.events("p").unwrap();
    let stopping = stop(&controller);
    assert_eq!(leftover(&mut silent).await, "");
    for _ in 0..5 {
        assert_eq!(next_of(&mut events, "connection_closed").await["reason"], "finished");
    }
    within(stopping).await.unwrap();
}

#[tokio::test]
async fn who_waits_for_an_answer_gets_it_and_is_told() {
    let (upstream, answer) = patient().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    controller.add_toxic("p", hyper()).unwrap();
    let mut clients = Vec::new();
    for path in ["/", "/hyper"] {
        let pipelined = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        clients.push(raw(&proxy, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n{pipelined}")).await);
    }
    let mut two = Client::new(&proxy, Version::HTTP_2).await;
    let request = two.request(Method::GET, "/").body(empty()).unwrap();
    let asking = tokio::spawn(async move { two.send(request).await });
    until(|| upstream.seen().len() == 3).await;
    let stopping = stop(&controller);
    within(async { while !is_refused(&proxy.listen).await {} }).await;
    answer.add_permits(1);
    for mut client in clients {
        let said = leftover(&mut client).await;
        let closes = said.to_ascii_lowercase().matches("connection: close\r\n").count();
        assert!(closes == 1 && said.ends_with("late"), "{said}");
        assert_eq!(said.matches("HTTP/1.1 200").count(), 1, "{said}");
    }
    assert_eq!(whole(within(asking).await.unwrap().unwrap()).await.1, "late");
    within(stopping).await.unwrap();
    assert_eq!(upstream.seen().len(), 3, "what was asked behind the last answer is for another connection");
}

#[tokio::test]
async fn a_body_on_its_way_arrives_whole() {
    let (addr, mut connections) = manual().await;
    let (controller, proxy) = http_proxy(addr).await;
    controller.add_toxic("p", hyper()).unwrap();
    let mut pairs = Vec::new();
    for path in ["/", "/hyper"] {
        let mut client = raw(&proxy, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let mut server = within(connections.recv()).await.unwrap();
        head(&mut server).await;
        server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await.unwrap();
        head(&mut client).await;
        assert_eq!(bytes(&mut client, 5).await, b"hello");
        pairs.push((client, server));
    }
    let stopping = stop(&controller);
    within(async { while !is_refused(&proxy.listen).await {} }).await;
    for (mut client, mut server) in pairs {
        server.write_all(b"world").await.unwrap();
        assert_eq!(leftover(&mut client).await, "world");
    }
    within(stopping).await.unwrap();
}

#[tokio::test]
async fn a_request_that_has_begun_to_come_is_answered() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = raw(&proxy, "GET / HTT").await;
    until(|| controller.connections(Some("p")).unwrap().iter().any(|it| it.bytes_upstream == 9)).await;
    let stopping = stop(&controller);
    within(async { while !is_refused(&proxy.listen).await {} }).await;
    client.write_all(b"P/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let said = leftover(&mut client).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("Connection: close\r\n"), "{said}");
    within(stopping).await.unwrap();
}

#[tokio::test]
async fn the_failure_of_an_upstream_is_said_and_is_the_last() {
    let (addr, mut connections) = manual().await;
    let (controller, proxy) = http_proxy(addr).await;
    let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let server = within(connections.recv()).await.unwrap();
    let stopping = stop(&controller);
    within(async { while !is_refused(&proxy.listen).await {} }).await;
    drop(server);
    let said = leftover(&mut client).await;
    assert!(said.starts_with("HTTP/1.1 502") && said.contains("connection: close\r\n"), "{said}");
    within(stopping).await.unwrap();
}

#[tokio::test]
async fn a_proxy_that_is_disabled_or_deleted_ends_at_once() {
    for delete in [true, false] {
        let (upstream, _answer) = patient().await;
        let (controller, proxy) = http_proxy(upstream.addr).await;
        let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until(|| upstream.seen().len() == 1).await;
        if delete {
            controller.delete("p").await.unwrap();
        } else {
            let off = sabot_proxy::ProxyPatch { enabled: Some(false), ..Default::default() };
            controller.update("p", off).await.unwrap();
        }
        assert_eq!(leftover(&mut client).await, "");
    }
}
