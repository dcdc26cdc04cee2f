//! Requests that are broken off, as far as the socket.

use http::{Method, Response, Version};
use http_body_util::BodyExt;
use serde_json::json;

use crate::support::*;

/// What of an answer comes over HTTP/2, and the code that ends it.
async fn broken(client: &mut Client) -> (Option<u16>, Vec<u8>, Option<u32>) {
    let request = client.request(Method::POST, "/").body(full("x")).unwrap();
    let answer = match client.send(request).await {
        Ok(answer) => answer,
        Err(error) => return (None, Vec::new(), code(&error)),
    };
    let (status, mut body, mut got) = (answer.status().as_u16(), answer.into_body(), Vec::new());
    loop {
        match within(body.frame()).await.expect("it was not complete") {
            Ok(frame) => got.extend_from_slice(&frame.into_data().unwrap()),
            Err(error) => return (Some(status), got, code(&error)),
        }
    }
}

async fn long() -> Upstream {
    Upstream::new(|_| async { Response::new(full(vec![7; 100_000])) }).await
}

#[tokio::test]
async fn over_http2_the_stream_is_reset_with_the_code() {
    let upstream = long().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    for (at, status, bytes) in [("request", None, 0), ("head", Some(200), 0), ("body", Some(200), 20_000)] {
        let reset =
            json!({"at": at, "after": bytes, "code": "ENHANCE_YOUR_CALM", "match": {"method": "POST"}});
        controller.add_toxic("p", simple("http_reset", reset)).unwrap();
        let (head, got, code) = broken(&mut client).await;
        assert_eq!((head, got.len(), code), (status, bytes, Some(11)), "{at}");
        // The connection and its other streams live on.
        assert_eq!(client.get("/").await.1.len(), 100_000);
        controller.remove_toxic("p", "http_reset_downstream").unwrap();
    }
    assert_eq!(controller.proxy("p").unwrap().total_connections, 1);
}

#[tokio::test]
async fn over_http1_the_socket_is_reset() {
    let upstream = long().await;
    // With and without a relay beneath.
    for beneath in [false, true] {
        let (controller, proxy) = http_proxy(upstream.addr).await;
        if beneath {
            controller.add_toxic("p", simple("noop", json!({}))).unwrap();
        }
        for (at, bytes) in [("request", 0), ("head", 0), ("body", 20_000)] {
            controller.add_toxic("p", simple("http_reset", json!({"at": at, "after": bytes}))).unwrap();
            let mut events = controller.events("p").unwrap();
            let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            if at != "request" && !beneath {
                assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
                crate::support::bytes(&mut client, bytes).await;
            }
            assert!(was_reset(&mut client).await, "{at} {beneath}");
            assert_eq!(next_of(&mut events, "connection_closed").await["reason"], "toxic_reset");
            controller.remove_toxic("p", "http_reset_downstream").unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_truncated_ends_early_and_in_good_order() {
    let upstream = long().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    controller.add_toxic("p", simple("http_truncate", json!({"bytes": 20_000}))).unwrap();
    let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(head(&mut client).await.contains("100000"));
    assert_eq!(rest(&mut client).await.unwrap().len(), 20_000);
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    let (_, got, code) = broken(&mut client).await;
    assert_eq!((got.len(), code), (20_000, Some(h2::Reason::INTERNAL_ERROR.into())));
}
