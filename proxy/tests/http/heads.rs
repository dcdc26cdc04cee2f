//! Heads of answers over HTTP/1.1, to the letter.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::*;

#[tokio::test]
async fn a_stale_answer_is_written_as_the_first_one_was() {
    let (addr, mut connections) = manual().await;
    let (controller, proxy) = http_proxy(addr).await;
    controller.add_toxic("p", simple("http_stale", json!({"age": false}))).unwrap();
    let written = "HTTP/1.1 200 Fine\r\nX-CaSe: a\r\nETag: \"1\"\r\nContent-Length: 5\r\nx-case: b\r\n\r\n";
    let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut server = within(connections.recv()).await.unwrap();
    head(&mut server).await;
    server.write_all(format!("{written}hello").as_bytes()).await.unwrap();
    let first = head(&mut client).await;
    assert_eq!(bytes(&mut client, 5).await, b"hello");
    assert!(first.contains("200 Fine\r\n") && first.contains("\r\nX-CaSe: a\r\n"), "{first}");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(head(&mut client).await, first);
    assert_eq!(bytes(&mut client, 5).await, b"hello");
    client.write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let again = leftover(&mut client).await;
    assert!(again.starts_with(first.trim_end()) && again.ends_with("\r\n\r\n"), "{again}");
    assert!(connections.try_recv().is_err(), "it was asked once");
}

#[tokio::test]
async fn the_reason_belongs_to_the_status() {
    let (addr, mut connections) = manual().await;
    let (controller, proxy) = http_proxy(addr).await;
    let cases = [
        ("http_status", json!({"status": 503}), "200 Fine", "503 Service Unavailable"),
        ("http_status", json!({"status": 599}), "200 Fine", "599 Unassigned"),
        ("http_headers", json!({"set": {"a": "b"}}), "200 Fine", "200 Fine"),
        ("http_headers", json!({"set": {"a": "b"}}), "599 Odd", "599 Odd"),
    ];
    for (kind, attributes, came, goes) in cases {
        let toxic = controller.add_toxic("p", simple(kind, attributes)).unwrap();
        let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut server = within(connections.recv()).await.unwrap();
        head(&mut server).await;
        server.write_all(format!("HTTP/1.1 {came}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
        let got = head(&mut client).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {goes}\r\n")), "{kind} {came}: {got}");
        controller.remove_toxic("p", &toxic.name).unwrap();
    }
    controller.add_toxic("p", simple("http_abort", json!({"status": 599}))).unwrap();
    let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 599 Unassigned\r\n"));
}
