//! `Expect: 100-continue`: the client hears it from the upstream.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use crate::support::*;

const REQUEST: &str = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const DONE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn the_client_is_told_when_the_upstream_says_so() {
    let (addr, mut connections) = manual().await;
    let (_controller, proxy) = http_proxy(addr).await;
    let before = Instant::now();
    let mut client = raw(&proxy, REQUEST).await;
    let mut server = within(connections.recv()).await.unwrap();
    assert!(head(&mut server).await.to_ascii_lowercase().contains("expect: 100-continue"));
    server.write_all(CONTINUE.as_bytes()).await.unwrap();
    assert_eq!(head(&mut client).await, CONTINUE);
    assert!(before.elapsed() < Duration::from_millis(900), "by the upstream, not by the clock");
    client.write_all(b"body").await.unwrap();
    assert_eq!(bytes(&mut server, 4).await, b"body");
    server.write_all(DONE).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
    assert_eq!(bytes(&mut client, 2).await, b"ok");
    // Both connections are as good as new.
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(head(&mut server).await.starts_with("GET / "));
}

#[tokio::test]
async fn a_final_answer_comes_without_the_body() {
    let (addr, mut connections) = manual().await;
    let (controller, proxy) = http_proxy(addr).await;
    let mut client = raw(&proxy, REQUEST).await;
    let mut server = within(connections.recv()).await.unwrap();
    head(&mut server).await;
    server.write_all(b"HTTP/1.1 417 No\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 417"));
    assert_eq!(leftover(&mut client).await, "no");
    // The upstream lacks a body that was announced: its connection ends.
    assert_eq!(leftover(&mut server).await, "");
    drop(client);
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn a_silent_upstream_is_waited_for_a_second() {
    let (addr, mut connections) = manual().await;
    let (_controller, proxy) = http_proxy(addr).await;
    let before = Instant::now();
    let mut client = raw(&proxy, REQUEST).await;
    let mut server = within(connections.recv()).await.unwrap();
    head(&mut server).await;
    assert_eq!(head(&mut client).await, CONTINUE);
    assert!((900..3000).contains(&before.elapsed().as_millis()), "{:?}", before.elapsed());
    client.write_all(b"body").await.unwrap();
    assert_eq!(bytes(&mut server, 4).await, b"body");
    server.write_all(DONE).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_does_not_wait_need_not() {
    let (addr, mut connections) = manual().await;
    let (_controller, proxy) = http_proxy(addr).await;
    let mut client = raw(&proxy, format!("{REQUEST}body")).await;
    let mut server = within(connections.recv()).await.unwrap();
    head(&mut server).await;
    server.write_all(CONTINUE.as_bytes()).await.unwrap();
    assert_eq!(bytes(&mut server, 4).await, b"body");
    server.write_all(DONE).await.unwrap();
    let heads = leftover_until(&mut client, "ok").await;
    assert!(heads.contains("HTTP/1.1 200"), "{heads}");
}

async fn leftover_until(stream: &mut tokio::net::TcpStream, end: &str) -> String {
    let mut all = String::new();
    while !all.ends_with(end) {
        all.push(char::from(bytes(stream, 1).await[0]));
    }
    all
}
