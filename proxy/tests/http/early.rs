//! Answers that come before the request's body was read: it is read for a while, so that
//! the answer arrives and the connection goes on.

use http::{Method, StatusCode, Version};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::*;

/// A proxy that answers every POST itself.
async fn aborting() -> (Upstream, sabot_proxy::Controller, sabot_proxy::ProxyView) {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let abort = json!({"status": 503, "match": {"method": "POST"}});
    controller.add_toxic("p", simple("http_abort", abort)).unwrap();
    (upstream, controller, proxy)
}

#[tokio::test]
async fn an_http_1_connection_goes_on_when_the_rest_has_come() {
    let (upstream, _controller, proxy) = aborting().await;
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut client =
            raw(&proxy, format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n186a0\r\n")).await;
        assert!(head(&mut client).await.starts_with("HTTP/1.1 503"));
        // The size of the chunk is a part of the body for one framing only.
        let missing = if framing.starts_with('C') { 100_000 - 7 } else { 100_000 };
        client.write_all(&vec![b'x'; missing]).await.unwrap();
        if missing == 100_000 {
            client.write_all(b"\r\n0\r\n\r\n").await.unwrap();
        }
        client.write_all(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(head(&mut client).await.starts_with("HTTP/1.1 200"), "{framing}");
        assert_eq!(upstream.last().uri, "/next");
    }
}

#[tokio::test]
async fn an_http_2_stream_is_open_until_the_rest_has_come() {
    let (_upstream, _controller, proxy) = aborting().await;
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    let (feed, body) = fed();
    let request = client.request(Method::POST, "/").body(body).unwrap();
    let (answer, _) = whole(client.send(request).await.unwrap()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    for _ in 0..10 {
        // A reset of the stream would have come before the answer to this.
        client.get("/").await;
        within(feed.send(data("more"))).await.unwrap();
    }
}

#[tokio::test]
async fn a_body_without_end_is_not_read_for_ever() {
    let (_upstream, controller, proxy) = aborting().await;
    let mut client = raw(&proxy, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n").await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 503"));
    let block = vec![0; 64 * 1024];
    let sent = within(async {
        let mut sent = 0;
        while client.write_all(&block).await.is_ok() {
            sent += block.len();
        }
        sent
    })
    .await;
    // What is read away, what is read while the client may still want its answer, and all buffers between.
    assert!((1024 * 1024..64 * 1024 * 1024).contains(&sent), "{sent}");
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_for_long() {
    let (_upstream, controller, proxy) = aborting().await;
    let mut client = raw(&proxy, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 503"));
    assert_eq!(leftover(&mut client).await, "");
    drop(client);
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn nobody_is_asked_for_a_body_that_nobody_wants() {
    let (_upstream, _controller, proxy) = aborting().await;
    let expecting = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut client = raw(&proxy, expecting).await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 503"));
    assert_eq!(leftover(&mut client).await, "");
}
