//! The connection of a delayed request: made while it waits, used by it alone.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::*;

#[tokio::test]
async fn a_delayed_request_goes_over_the_connection_that_was_made_for_it() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    controller.add_toxic("p", simple("http_delay", json!({"delay": 20}))).unwrap();
    let mut requests = 0;
    for version in BOTH {
        let mut client = Client::new(&proxy, version).await;
        for content_type in ["text/plain", "application/grpc"] {
            for _ in 0..3 {
                let request = client.request(Method::POST, "/").header("content-type", content_type);
                let (answer, body) =
                    whole(client.send(request.body(full("hello")).unwrap()).await.unwrap()).await;
                assert_eq!((answer.status(), &*body), (StatusCode::OK, &b"hello"[..]));
                requests += 1;
                assert_eq!((upstream.accepted(), upstream.seen().len()), (requests, requests));
            }
        }
    }
    until(|| upstream.open() == 0).await;
}

#[tokio::test]
async fn it_is_made_before_the_delay_is_over() {
    let (addr, mut connections) = manual().await;
    let (controller, proxy) = http_proxy(addr).await;
    controller.add_toxic("p", simple("http_delay", json!({"delay": 20}))).unwrap();
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut server = within(connections.recv()).await.unwrap();
        let accepted = Instant::now();
        head(&mut server).await;
        longest = longest.max(accepted.elapsed());
        server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
    }
    // On a busy machine one may be seen late, but not each of them.
    assert!(longest >= Duration::from_micros(1500), "{longest:?}");
}

#[tokio::test]
async fn none_is_made_for_a_request_that_is_never_passed_on() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    for (kind, attributes) in [("http_delay", json!({"delay": 20})), ("http_abort", json!({}))] {
        controller.add_toxic("p", simple(kind, attributes)).unwrap();
    }
    for version in BOTH {
        let (answer, _) = Client::new(&proxy, version).await.get("/").await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_said_so_after_the_delay() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (controller, proxy) = http_proxy(gone).await;
    controller.add_toxic("p", simple("http_delay", json!({"delay": 20}))).unwrap();
    for version in BOTH {
        let (answer, _) = Client::new(&proxy, version).await.get("/").await;
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(values(answer.headers(), "x-sabot-error"), ["refused"]);
    }
}
