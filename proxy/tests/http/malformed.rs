//! What is no HTTP, or HTTP that two readers may read differently: refused or closed,
//! and never a second request for the upstream.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// What a client hears that says all of `bytes`, and which paths the upstream saw.
async fn said(bytes: impl AsRef<[u8]>) -> (String, Vec<String>, u64) {
    let upstream = Upstream::echo().await;
    let controller = one_worker(|options| options.head_timeout = Duration::from_millis(300));
    let proxy = add_proxy(&controller, upstream.addr).await;
    let mut client = raw(&proxy, bytes).await;
    let heard = leftover(&mut client).await;
    drop(client);
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
    let paths = upstream.seen().iter().map(|seen| seen.uri.path().to_owned()).collect();
    (heard, paths, controller.totals()[0].malformed)
}

/// A request that hides another, after the headers given.
fn hiding(headers: &str) -> String {
    format!(
        "POST /seen HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    )
}

#[tokio::test]
async fn framing_that_can_be_read_two_ways_is_refused() {
    for headers in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: 5 6",
        "Content-Length: +5",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length: 99999999999999999999",
        "Content-Length: ",
        "Content-Length : 5",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;a=b",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\u{b}chunked",
        "Transfer-Encoding: chunked\r\n , identity",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding\r\n: chunked",
        "X: a\r\n\tb",
        "X: a\u{0}b",
        "X: a\rTransfer-Encoding: chunked",
        "X\u{0}: a",
        "X y: a",
        ": a",
        "Host: b",
    ] {
        let (heard, paths, malformed) = said(hiding(headers)).await;
        assert!(heard.starts_with("HTTP/1.1 400 "), "{headers:?}: {heard:?}");
        assert_eq!(heard.matches("HTTP/1.").count(), 1, "{headers:?}: {heard:?}");
        assert!(paths.is_empty(), "{headers:?}: {paths:?}");
        assert_eq!(malformed, 1, "{headers:?}");
    }
}

#[tokio::test]
async fn a_length_beside_a_coding_hides_nothing() {
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\ncontent-LENGTH: 50",
        "Content-Length: 5\r\nX: y\r\nTransfer-Encoding: chunked",
    ] {
        let (heard, paths, _) = said(hiding(headers)).await;
        assert_eq!(heard.matches("HTTP/1.").count(), 1, "{headers:?}: {heard:?}");
        assert!(!paths.contains(&"/hidden".to_owned()), "{headers:?}: {paths:?}");
    }
}

#[tokio::test]
async fn a_request_without_a_host_is_refused() {
    for request in [
        "GET /seen HTTP/1.1\r\n\r\n",
        "GET /seen HTTP/1.1\r\nHosts: a\r\n\r\n",
        "GET http://a/seen HTTP/1.1\r\nX: y\r\n\r\n",
        "POST /seen HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi",
        "GET /seen HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n",
    ] {
        let (heard, paths, malformed) = said(request).await;
        assert!(heard.starts_with("HTTP/1.1 400 ") && heard.ends_with("no Host\n"), "{request:?}: {heard:?}");
        assert!(paths.is_empty() && malformed == 1, "{request:?}: {paths:?} {malformed}");
    }
    // Behind one that was right, and that went the short way.
    let (heard, paths, malformed) =
        said("GET /seen HTTP/1.1\r\nHost: a\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n").await;
    assert_eq!((paths.as_slice(), malformed), (&["/seen".to_owned()][..], 1), "{heard:?}");
    // Older ones need none, and one may be empty.
    for request in ["GET /seen HTTP/1.0\r\n\r\n", "GET /seen HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"]
    {
        let (heard, paths, malformed) = said(request).await;
        assert!(heard.contains(" 200 ") && paths == ["/seen"] && malformed == 0, "{request:?}: {heard:?}");
    }
}

#[tokio::test]
async fn a_coding_of_http_1_0_is_refused() {
    let request = hiding("Transfer-Encoding: chunked").replacen("HTTP/1.1", "HTTP/1.0", 1);
    let (heard, paths, _) = said(request).await;
    assert!(heard.contains(" 400 ") && paths.is_empty(), "{heard:?} {paths:?}");
}

#[tokio::test]
async fn chunks_that_are_none_end_the_connection() {
    for chunks in [
        "x\r\nabc\r\n",
        "-1\r\n",
        "5;\nabcde\r\n",
        "fffffffffffffffff\r\n",
        "3\r\nabcd\r\n",
        "0x3\r\nabc\r\n",
    ] {
        let head = "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (heard, paths, malformed) =
            said(format!("{head}{chunks}0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(malformed, 1, "{chunks:?}: {heard:?}");
        assert!(!heard.contains(" 502 "), "the upstream is not to blame: {heard:?}");
        assert!(!heard.contains("hidden") && heard.matches("HTTP/1.").count() <= 1, "{chunks:?}: {heard:?}");
        assert!(!paths.contains(&"/hidden".to_owned()), "{chunks:?}: {paths:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_counted() {
    for bytes in [
        &b"GET /\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0\0\0\0\0",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"EHLO me\r\n",
    ] {
        let (heard, paths, malformed) = said(bytes).await;
        let shown = String::from_utf8_lossy(bytes);
        assert!(heard.starts_with("HTTP/1.1 400 ") || heard.is_empty(), "{shown:?}: {heard:?}");
        assert!(paths.is_empty(), "{shown:?}: {paths:?}");
        assert_eq!(malformed, 1, "{shown:?}: {heard:?}");
    }
}

#[tokio::test]
async fn garbage_after_the_preface_is_a_goaway() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for garbage in
        [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0xff; 64], &[0; 64], &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x80]]
    {
        let (_, paths, malformed) = said([&preface[..], garbage].concat()).await;
        assert!(paths.is_empty(), "{garbage:?}: {paths:?}");
        assert_eq!(malformed, 1, "{garbage:?}");
    }
}

#[tokio::test]
async fn bare_line_feeds_are_line_ends_and_hide_nothing() {
    // RFC 9112, section 2.2 lets a reader take them; what is sent on is proper.
    let (heard, paths, _) =
        said("GET /a HTTP/1.1\nHost: a\nConnection: close\nX: y\n\nGET /hidden HTTP/1.1\n\n").await;
    assert_eq!((heard.matches("HTTP/1.").count(), paths), (1, vec!["/a".to_owned()]), "{heard:?}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_a_431() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n").await;
    let (mut read, mut write) = client.split();
    let line = format!("X: {}\r\n", "y".repeat(1000));
    // Without end, until the proxy has enough: it reads on for a moment, and keeps nothing.
    let sending = async { while write.write_all(line.as_bytes()).await.is_ok() {} };
    let mut heard = Vec::new();
    let _ = within(async { tokio::join!(sending, read.read_to_end(&mut heard)) }).await;
    let heard = String::from_utf8(heard).unwrap();
    assert!(heard.starts_with("HTTP/1.1 431 "), "{heard:?}");
    drop(client);
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
    assert!(upstream.seen().is_empty());
    assert_eq!(controller.totals()[0].malformed, 1);
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_given_up() {
    for begun in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
        let upstream = Upstream::echo().await;
        let controller = one_worker(|options| options.head_timeout = Duration::from_millis(100));
        let proxy = add_proxy(&controller, upstream.addr).await;
        let before = Instant::now();
        let mut client = raw(&proxy, begun).await;
        assert_eq!(leftover(&mut client).await, "", "{begun:?}");
        assert!(before.elapsed() >= Duration::from_millis(100), "{begun:?} {:?}", before.elapsed());
        drop(client);
        until(|| controller.proxy("p").unwrap().open_connections == 0).await;
        assert_eq!(controller.totals()[0].malformed, 0, "late is not malformed");
    }
}

#[tokio::test]
async fn a_request_that_has_come_may_take_longer_than_its_head() {
    let upstream = Upstream::echo().await;
    let controller = one_worker(|options| options.head_timeout = Duration::from_millis(50));
    let proxy = add_proxy(&controller, upstream.addr).await;
    controller.add_toxic("p", simple("http_delay", serde_json::json!({"delay": 200}))).unwrap();
    // 18 bytes: less than the preface of HTTP/2.
    let mut client = raw(&proxy, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(leftover(&mut client).await.starts_with("HTTP/1.0 200"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::echo().await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let request = |body: &str| {
        format!("POST /{body} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let mut client = raw(&proxy, ["one", "two", "three"].map(request).concat()).await;
    for body in ["one", "two", "three"] {
        assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
        assert_eq!(bytes(&mut client, body.len()).await, body.as_bytes());
    }
}
