//! What a proxy changes in the heads of requests on their way up.

use http::request::Parts;
use http::{Method, Version};
use sabot_proxy::{Controller, Protocol, ProxySpec, ProxyView};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::*;

fn changed(upstream: impl ToString) -> ProxySpec {
    ProxySpec {
        protocol: Protocol::Http,
        host_rewrite: Some("other.example:81".to_owned()),
        x_forwarded_for: true,
        ..ProxySpec::new("p", upstream.to_string())
    }
}

async fn changing(upstream: &Upstream) -> (Controller, ProxyView) {
    let controller = one_worker(|_| {});
    let proxy = controller.create(changed(upstream.addr)).await.unwrap();
    (controller, proxy)
}

/// What the upstream was told of itself and of the client.
fn told(seen: &Parts) -> (String, Vec<String>, Vec<String>) {
    let authority = seen.uri.authority().map(ToString::to_string).unwrap_or_default();
    (authority, values(&seen.headers, "host"), values(&seen.headers, "x-forwarded-for"))
}

#[tokio::test]
async fn every_way_up_tells_the_same() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = changing(&upstream).await;
    let (other, client) = ("other.example:81".to_owned(), "127.0.0.1".to_owned());
    for toxic in [None, Some("http_delay")] {
        if let Some(kind) = toxic {
            controller.add_toxic("p", simple(kind, json!({"delay": 1}))).unwrap();
        }
        let (feed, unframed) = fed();
        drop(feed);
        for (version, body, kind) in [
            (Version::HTTP_11, empty(), "text/plain"),
            (Version::HTTP_11, full("body"), "text/plain"),
            (Version::HTTP_11, unframed, "text/plain"),
            (Version::HTTP_2, empty(), "text/plain"),
            (Version::HTTP_2, full("body"), "application/grpc"),
        ] {
            let mut asking = Client::new(&proxy, version).await;
            let request = asking.request(Method::POST, "/a?b").header("content-type", kind);
            whole(asking.send(request.body(body).unwrap()).await.unwrap()).await;
            let seen = upstream.last();
            let grpc = kind == "application/grpc";
            let named = if grpc { (other.clone(), vec![]) } else { (String::new(), vec![other.clone()]) };
            assert_eq!(told(&seen), (named.0, named.1, vec![client.clone()]), "{toxic:?} {version:?} {kind}");
            assert_eq!(seen.uri.path_and_query().unwrap(), "/a?b");
        }
    }
}

#[tokio::test]
async fn what_was_forwarded_before_stays_in_front_and_in_its_place() {
    let (addr, mut connections) = manual().await;
    let controller = one_worker(|_| {});
    let proxy = controller.create(changed(addr)).await.unwrap();
    let sent =
        "x-forwarded-for: 9.9.9.9, 8.8.8.8\r\nhOST: a\r\nAccept: */*\r\nX-Forwarded-For: 7.7.7.7\r\nB: c\r\n";
    for (short, more) in [(true, ""), (false, "Transfer-Encoding: chunked\r\n")] {
        let body = if short { "" } else { "0\r\n\r\n" };
        let mut client = raw(&proxy, format!("GET /x HTTP/1.1\r\n{sent}{more}\r\n{body}")).await;
        let mut server = within(connections.recv()).await.unwrap();
        let asked = head(&mut server).await;
        let list = "9.9.9.9, 8.8.8.8, 7.7.7.7, 127.0.0.1";
        assert_eq!(asked.matches("orwarded-").count(), 1, "{asked}");
        assert!(asked.contains(&format!("-for: {list}\r\n")), "{asked}");
        assert!(asked.contains("hOST: other.example:81\r\nAccept: */*\r\nB: c\r\n"), "{asked}");
        server.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        head(&mut client).await;
    }
}

#[tokio::test]
async fn faults_look_at_what_the_client_asked() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = changing(&upstream).await;
    let on = |host: &str| json!({"status": 503, "match": {"host": host}});
    controller.add_toxic("p", simple("http_abort", on("other.example"))).unwrap();
    for version in BOTH {
        assert_eq!(Client::new(&proxy, version).await.get("/").await.0.status(), 200);
    }
    controller.remove_toxic("p", "http_abort_downstream").unwrap();
    controller.add_toxic("p", simple("http_abort", on("test.example"))).unwrap();
    for version in BOTH {
        assert_eq!(Client::new(&proxy, version).await.get("/").await.0.status(), 503);
    }
}

#[tokio::test]
async fn an_upgrade_and_a_request_in_absolute_form_tell_it_too() {
    let (addr, mut connections) = manual().await;
    let controller = one_worker(|_| {});
    let proxy = controller.create(changed(addr)).await.unwrap();
    for asked in [
        "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X-Forwarded-For\r\nUpgrade: websocket\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
        "GET http://b:5/a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
    ] {
        let _client = raw(&proxy, asked).await;
        let mut server = within(connections.recv()).await.unwrap();
        let came = head(&mut server).await.to_ascii_lowercase();
        assert!(came.starts_with("get /a http/1.1\r\n"), "{came}");
        assert_eq!(came.matches("host: ").count(), 1, "{came}");
        assert!(came.contains("host: other.example:81\r\n"), "{came}");
        assert!(came.contains("x-forwarded-for: 127.0.0.1\r\n"), "{came}");
    }
}

#[tokio::test]
async fn a_request_of_http_1_0_without_a_host_asks_for_the_upstream() {
    let (addr, mut connections) = manual().await;
    let (_controller, proxy) = http_proxy(addr).await;
    for (header, expected) in [("", addr.to_string()), ("Host: a\r\n", "a".to_owned())] {
        let _client = raw(&proxy, format!("GET /a HTTP/1.0\r\n{header}\r\n")).await;
        let came = head(&mut within(connections.recv()).await.unwrap()).await.to_ascii_lowercase();
        assert!(came.contains(&format!("\r\nhost: {expected}\r\n")), "{came}");
    }
}

#[tokio::test]
async fn a_client_on_a_unix_socket_has_no_address() {
    let upstream = Upstream::echo().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p.sock");
    let controller = one_worker(|_| {});
    let listen = Some(format!("unix:{}", path.display()));
    controller.create(ProxySpec { listen, ..changed(upstream.addr) }).await.unwrap();
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    within(client.read_to_end(&mut Vec::new())).await.unwrap();
    assert_eq!(told(&upstream.last()), (String::new(), vec!["other.example:81".to_owned()], vec![]));
}

#[tokio::test]
async fn a_proxy_that_is_to_change_otherwise_is_another() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = changing(&upstream).await;
    let spec = ProxySpec { listen: Some(proxy.listen.clone()), ..changed(upstream.addr) };
    let number = async |spec: ProxySpec| {
        let summary = controller.apply(vec![spec]).await.unwrap();
        summary.changed.len()
    };
    assert_eq!(number(spec.clone()).await, 0);
    assert_eq!(number(ProxySpec { x_forwarded_for: false, ..spec.clone() }).await, 1);
    assert_eq!(number(ProxySpec { host_rewrite: None, ..spec }).await, 1);
    let view = controller.proxy("p").unwrap();
    assert_eq!((view.host_rewrite, view.x_forwarded_for), (None, true));
}
