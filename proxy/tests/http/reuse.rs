//! Connections to the upstream: kept when they are as good as new, and only then.

use std::sync::Arc;

use http::{Method, Response, StatusCode, Version};
use sabot_proxy::ProxyPatch;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

#[tokio::test]
async fn one_connection_serves_many_clients() {
    let upstream = Upstream::echo().await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    for version in BOTH {
        for _ in 0..3 {
            let mut client = Client::new(&proxy, version).await;
            for _ in 0..20 {
                assert_eq!(client.get("/").await.0.status(), StatusCode::OK);
            }
        }
    }
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn requests_at_once_have_connections_of_their_own() {
    let barrier = Arc::new(tokio::sync::Barrier::new(4));
    let upstream = Upstream::new(move |_| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Response::new(full("ok"))
        }
    })
    .await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let mut asking = Vec::new();
    for _ in 0..4 {
        let mut client = Client::new(&proxy, Version::HTTP_11).await;
        asking.push(tokio::spawn(async move { client.get("/").await.0.status() }));
    }
    for asked in asking {
        assert_eq!(within(asked).await.unwrap(), StatusCode::OK);
    }
    assert_eq!(upstream.accepted(), 4);
}

#[tokio::test]
async fn what_a_fault_touched_is_not_used_again() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    controller.add_toxic("p", simple("http_delay", json!({"delay": 1, "match": {"path": "/slow"}}))).unwrap();
    for version in BOTH {
        let before = upstream.accepted();
        let mut client = Client::new(&proxy, version).await;
        for path in ["/", "/slow", "/", "/slow", "/"] {
            client.get(path).await;
        }
        let plain = usize::from(before == 0);
        assert_eq!(upstream.accepted() - before, plain + 2, "{version:?}");
    }
    // Calls of gRPC share one, but for those that a fault touched.
    let before = upstream.accepted();
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    for path in ["/", "/slow", "/", "/slow", "/"] {
        let request = client.request(Method::POST, path).header("content-type", "application/grpc");
        whole(client.send(request.body(full("x")).unwrap()).await.unwrap()).await;
    }
    assert_eq!(upstream.accepted() - before, 3);
    until(|| upstream.open() == 2).await;
}

#[tokio::test]
async fn one_that_the_upstream_closed_is_not_noticed() {
    let (addr, mut connections) = manual().await;
    let (_controller, proxy) = http_proxy(addr).await;
    let mut client = Client::new(&proxy, Version::HTTP_11).await;
    for method in [Method::GET, Method::POST, Method::GET] {
        let serving = async {
            let mut server = connections.recv().await.unwrap();
            head(&mut server).await;
            server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            // Closed while idle.
            drop(server);
        };
        let request = client.request(method, "/").body(empty()).unwrap();
        let (answer, ()) = within(async { tokio::join!(client.send(request), serving) }).await;
        assert_eq!(whole(answer.unwrap()).await.1, "ok");
    }
}

#[tokio::test]
async fn one_that_breaks_under_a_request_is_replaced_if_that_can_do_no_harm() {
    let (addr, mut connections) = manual().await;
    let (_controller, proxy) = http_proxy(addr).await;
    for (method, status) in [(Method::GET, 200), (Method::PUT, 200), (Method::POST, 502)] {
        let mut client = Client::new(&proxy, Version::HTTP_11).await;
        let serving = async {
            let mut first = connections.recv().await.unwrap();
            head(&mut first).await;
            first.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            head(&mut first).await;
            // Closed under the second request.
            drop(first);
            if status == 200 {
                let mut second = connections.recv().await.unwrap();
                head(&mut second).await;
                second.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nnew").await.unwrap();
            }
        };
        let asking = async {
            client.get("/").await;
            let request = client.request(method.clone(), "/").body(empty()).unwrap();
            whole(client.send(request).await.unwrap()).await
        };
        let ((answer, body), ()) = within(async { tokio::join!(asking, serving) }).await;
        assert_eq!(answer.status().as_u16(), status, "{method} {body:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_moves_takes_the_requests_with_it() {
    let (one, two) = (Upstream::echo().await, Upstream::echo().await);
    let (controller, proxy) = http_proxy(one.addr).await;
    Client::new(&proxy, Version::HTTP_11).await.get("/").await;
    let patch = ProxyPatch { upstream: Some(two.addr.to_string()), ..ProxyPatch::default() };
    controller.update("p", patch).await.unwrap();
    until(|| one.open() == 0).await;
    Client::new(&proxy, Version::HTTP_11).await.get("/").await;
    assert_eq!((one.seen().len(), two.seen().len()), (1, 1));
}

#[tokio::test]
async fn one_with_a_half_sent_request_is_not_used_again() {
    let upstream =
        Upstream::new(|_| async { Response::builder().status(413).body(full("no")).unwrap() }).await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = raw(&proxy, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegun").await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 413"));
    client.read_exact(&mut [0; 2]).await.unwrap();
    Client::new(&proxy, Version::HTTP_11).await.get("/").await;
    assert_eq!(upstream.accepted(), 2);
    drop(client);
    until(|| upstream.open() == 1).await;
}

#[tokio::test]
async fn nothing_is_kept_for_a_proxy_that_is_disabled_or_gone() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let off = |enabled| ProxyPatch { enabled: Some(enabled), ..ProxyPatch::default() };
    Client::new(&proxy, Version::HTTP_11).await.get("/").await;
    controller.update("p", off(false)).await.unwrap();
    until(|| upstream.open() == 0).await;
    controller.update("p", off(true)).await.unwrap();
    Client::new(&proxy, Version::HTTP_11).await.get("/").await;
    controller.delete("p").await.unwrap();
    until(|| upstream.open() == 0).await;
}
