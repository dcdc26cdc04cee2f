//! Goodbyes, over both versions.

use http::{Method, Response, Version};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::*;

async fn goaway(attributes: Value) -> (sabot_proxy::Controller, sabot_proxy::ProxyView) {
    let upstream = Upstream::new(|request| async move {
        let length = if request.uri().path() == "/long" { 300_000 } else { 3 };
        Response::new(full(vec![7; length]))
    })
    .await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    controller.add_toxic("p", simple("http_goaway", attributes)).unwrap();
    (controller, proxy)
}

fn applied(controller: &sabot_proxy::Controller) -> u64 {
    controller.proxy("p").unwrap().toxics[0].applied
}

/// The code of the GOAWAY that refused a request, and whether the peer sent it.
fn refused(error: &hyper::Error) -> Option<(u32, bool)> {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.reason().map(|reason| (reason.into(), error.is_go_away() && error.is_remote()));
        }
        source = error.source();
    }
    None
}

#[tokio::test]
async fn over_http1_the_connection_closes_after_the_answer() {
    for attributes in [json!({"after": 2}), json!({"after": 2, "code": "ENHANCE_YOUR_CALM"})] {
        let (controller, proxy) = goaway(attributes).await;
        let ask = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut client = raw(&proxy, ask).await;
        assert!(!head(&mut client).await.to_ascii_lowercase().contains("connection:"));
        bytes(&mut client, 3).await;
        tokio::io::AsyncWriteExt::write_all(&mut client, ask.as_bytes()).await.unwrap();
        assert!(head(&mut client).await.to_ascii_lowercase().contains("connection: close"));
        assert_eq!(leftover(&mut client).await, "\u{7}\u{7}\u{7}");
        assert_eq!(applied(&controller), 1);
    }
}

#[tokio::test]
async fn a_graceful_goodbye_lets_what_is_in_flight_go_on() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let waited = std::sync::Arc::clone(&gate);
    let upstream = Upstream::new(move |request| {
        let waited = std::sync::Arc::clone(&waited);
        async move {
            if request.uri().path() == "/slow" {
                waited.notified().await;
            }
            Response::new(full("abc"))
        }
    })
    .await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let quick = json!({"match": {"path": "/quick"}});
    controller.add_toxic("p", simple("http_goaway", quick)).unwrap();
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    let Client::Two(sender) = &client else { unreachable!() };
    let mut other = Client::Two(sender.clone());
    let slow = other.request(Method::GET, "/slow").body(empty()).unwrap();
    let asking = tokio::spawn(async move { whole(other.send(slow).await.unwrap()).await.1 });
    until(|| !upstream.seen().is_empty()).await;
    assert_eq!(client.get("/quick").await.1, "abc");
    // It hears that no more is wanted, while the other still waits.
    loop {
        let request = client.request(Method::GET, "/quick").body(empty()).unwrap();
        if client.send(request).await.is_err() {
            break;
        }
    }
    assert_eq!(controller.proxy("p").unwrap().open_connections, 1);
    gate.notify_one();
    assert_eq!(within(asking).await.unwrap(), "abc");
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn a_code_follows_the_end_of_the_answer() {
    let (controller, proxy) = goaway(json!({"after": 2, "code": "ENHANCE_YOUR_CALM"})).await;
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    for _ in 0..2 {
        assert_eq!(client.get("/long").await.1.len(), 300_000);
    }
    let request = client.request(Method::GET, "/").body(empty()).unwrap();
    assert!(client.send(request).await.is_err());
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
    assert_eq!(applied(&controller), 1);
}

#[tokio::test]
async fn at_once_the_request_is_refused_and_may_be_sent_again() {
    let (controller, proxy) = goaway(json!({"after": 0, "code": 11})).await;
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    let request = client.request(Method::GET, "/").body(empty()).unwrap();
    let error = client.send(request).await.unwrap_err();
    assert_eq!(refused(&error), Some((11, true)), "{error:?}");
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

/// A frame as it lies on the wire.
async fn frame(stream: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    within(stream.read_exact(&mut head)).await.ok()?;
    let [a, b, c, kind, flags, s, t, u, v] = head;
    let payload = bytes(stream, u32::from_be_bytes([0, a, b, c]) as usize).await;
    Some((kind, flags, u32::from_be_bytes([s, t, u, v]), payload))
}

#[tokio::test]
async fn the_frame_lies_at_a_boundary_and_names_the_last_stream() {
    // Two requests at once (static table: :method GET, :scheme http, :path /, :authority).
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let ask = |stream: u8| [&[0, 0, 6, 1, 5, 0, 0, 0, stream][..], b"\x82\x86\x84\x41\x01a"].concat();
    for (attributes, asks, last) in [
        (json!({"after": 2, "code": "INTERNAL_ERROR"}), vec![1, 3], 3),
        (json!({"after": 1, "code": "INTERNAL_ERROR"}), vec![5], 5),
        (json!({"after": 0, "code": "INTERNAL_ERROR"}), vec![1, 3], 0),
    ] {
        let (_controller, proxy) = goaway(attributes.clone()).await;
        let asked: Vec<u8> = asks.iter().flat_map(|stream| ask(*stream)).collect();
        let mut client = raw(&proxy, [&preface[..], &asked].concat()).await;
        let (mut ended, mut said) = (Vec::new(), None);
        while let Some((kind, flags, stream, payload)) = frame(&mut client).await {
            assert!(said.is_none(), "nothing comes behind it: {kind}");
            match kind {
                0 | 1 if flags & 1 != 0 => ended.push(stream),
                7 => said = Some(payload),
                _ => {}
            }
        }
        assert_eq!(said.unwrap(), [0, 0, 0, last, 0, 0, 0, 2], "{attributes}");
        if last > 0 {
            assert!(ended.contains(&u32::from(last)), "{attributes}: {ended:?}");
        } else {
            assert!(ended.is_empty());
        }
    }
}

#[tokio::test]
async fn connections_count_for_themselves() {
    let (controller, proxy) = goaway(json!({"after": 2})).await;
    for _ in 0..3 {
        let mut client = Client::new(&proxy, Version::HTTP_11).await;
        let (answer, _) = client.get("/").await;
        assert_eq!(values(answer.headers(), "connection"), Vec::<String>::new());
    }
    assert_eq!(applied(&controller), 0);
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    for _ in 0..2 {
        let request = client.request(Method::GET, "/long").body(empty()).unwrap();
        let body = client.send(request).await.unwrap().into_body();
        assert_eq!(within(body.collect()).await.unwrap().to_bytes().len(), 300_000);
    }
    until(|| applied(&controller) == 1).await;
}
