//! Changes of protocol, as WebSocket does it.

use http::Version;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::*;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
pub(crate) const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Both ends of a connection that has changed its protocol.
async fn upgraded() -> (sabot_proxy::Controller, TcpStream, TcpStream) {
    upgraded_under(None).await
}

/// The same under a toxic.
pub(crate) async fn upgraded_under(
    toxic: Option<sabot_toxics::ToxicSpec>,
) -> (sabot_proxy::Controller, TcpStream, TcpStream) {
    let (addr, mut connections) = manual().await;
    let (controller, proxy) = http_proxy(addr).await;
    if let Some(toxic) = toxic {
        controller.add_toxic("p", toxic).unwrap();
    }
    let mut client = raw(&proxy, ASK).await;
    let mut server = within(connections.recv()).await.unwrap();
    let asked = head(&mut server).await.to_ascii_lowercase();
    assert!(asked.contains("connection: upgrade") && asked.contains("upgrade: websocket"), "{asked}");
    // Bytes right behind the answer belong to the tunnel: a whole message.
    server.write_all(format!("{AGREE}\u{1}\u{3}1st").as_bytes()).await.unwrap();
    let agreed = head(&mut client).await.to_ascii_lowercase();
    assert!(agreed.starts_with("http/1.1 101") && agreed.contains("upgrade: websocket"), "{agreed}");
    assert_eq!(bytes(&mut client, 5).await, b"\x01\x031st");
    (controller, client, server)
}

#[tokio::test]
async fn bytes_pass_both_ways_until_both_close() {
    let (controller, mut client, mut server) = upgraded().await;
    let base = controller.tasks();
    for (from, to) in [(0, 1), (1, 0), (0, 1)] {
        let ends = [&mut client, &mut server];
        ends[from].write_all(&[7; 100_000]).await.unwrap();
        assert_eq!(bytes(ends[to], 100_000).await, [7; 100_000]);
    }
    client.shutdown().await.unwrap();
    assert_eq!(leftover(&mut server).await, "");
    server.write_all(b"last").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(leftover(&mut client).await, "last");
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
    until(|| controller.tasks() < base).await;
}

#[tokio::test]
async fn a_server_that_closes_first_still_hears_the_client() {
    let (controller, mut client, mut server) = upgraded().await;
    server.shutdown().await.unwrap();
    assert_eq!(leftover(&mut client).await, "");
    client.write_all(b"last").await.unwrap();
    assert_eq!(bytes(&mut server, 4).await, b"last");
    client.shutdown().await.unwrap();
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn a_kill_ends_both_sides() {
    let (controller, mut client, mut server) = upgraded().await;
    let id = controller.connections(Some("p")).unwrap()[0].id;
    controller.close_connection("p", id).unwrap();
    assert!(was_reset(&mut client).await);
    leftover(&mut server).await;
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn a_server_that_does_not_agree_answers_as_ever() {
    let upstream = Upstream::echo().await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = raw(&proxy, ASK).await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
}

const ASK_H2C: &str = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                       HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";

#[tokio::test]
async fn h2c_is_http_2_towards_the_client_alone() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let base = controller.tasks();
    let mut client = raw(&proxy, format!("GET /a?b HTTP/1.1\r\nHost: a\r\n{ASK_H2C}\r\n")).await;
    let agreed = head(&mut client).await.to_ascii_lowercase();
    assert!(agreed.starts_with("http/1.1 101") && agreed.contains("upgrade: h2c"), "{agreed}");
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    // The answer is on stream 1: HEADERS, and the end with them or behind.
    loop {
        let frame = bytes(&mut client, 9).await;
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
        let block = bytes(&mut client, length as usize).await;
        if frame[3] == 1 {
            // :status 200 of the static table.
            assert_eq!((frame[8], block[0]), (1, 0x88));
            break;
        }
    }
    let seen = upstream.last();
    assert_eq!((seen.version, seen.uri.to_string()), (Version::HTTP_11, "/a?b".to_owned()));
    assert_eq!(values(&seen.headers, "host"), ["a"]);
    assert!(!seen.headers.contains_key("upgrade") && !seen.headers.contains_key("http2-settings"));
    drop(client);
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
    until(|| controller.tasks() <= base + 1).await;
}

#[tokio::test]
async fn h2c_that_is_killed_on_the_way_leaves_nothing() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let base = controller.tasks();
    let mut client = raw(&proxy, format!("GET / HTTP/1.1\r\nHost: a\r\n{ASK_H2C}\r\n")).await;
    head(&mut client).await;
    let id = controller.connections(Some("p")).unwrap()[0].id;
    controller.close_connection("p", id).unwrap();
    assert!(was_reset(&mut client).await);
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
    until(|| controller.tasks() <= base).await;
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn h2c_with_a_body_stays_http_1() {
    let upstream = Upstream::echo().await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n{ASK_H2C}\r\nbody");
    let mut client = raw(&proxy, request).await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
    assert_eq!(bytes(&mut client, 4).await, b"body");
    assert!(!upstream.last().headers.contains_key("upgrade"));
}
