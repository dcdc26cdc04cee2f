//! What is told of requests: counts, durations, and the access log.

use std::time::Duration;

use http::{Method, StatusCode, Version};
use sabot_proxy::model::HttpTotals;
use sabot_toxics::{Direction, ToxicSpec};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::*;

fn http(controller: &sabot_proxy::Controller) -> HttpTotals {
    controller.totals()[0].http.clone().unwrap()
}

#[tokio::test]
async fn requests_are_counted_by_method_and_class_whichever_way_they_go() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let abort = json!({"status": 503, "match": {"path": "/charge"}});
    controller.add_toxic("p", simple("http_abort", abort)).unwrap();
    controller.add_toxic("p", simple("http_reset", json!({"match": {"path": "/reset"}}))).unwrap();
    for version in BOTH {
        let mut client = Client::new(&proxy, version).await;
        assert_eq!(client.get("/").await.0.status(), StatusCode::OK);
        let made_up = client.request(Method::from_bytes(b"FROB").unwrap(), "/").body(empty()).unwrap();
        whole(client.send(made_up).await.unwrap()).await;
        assert_eq!(client.get("/charge").await.0.status(), StatusCode::SERVICE_UNAVAILABLE);
        let reset = client.request(Method::POST, "/reset").body(empty()).unwrap();
        assert!(client.send(reset).await.is_err());
    }
    until(|| http(&controller).requests.values().sum::<u64>() == 8 && http(&controller).in_flight == 0).await;
    let counted = http(&controller);
    let expected = [(("GET", "2xx"), 2), (("GET", "5xx"), 2), (("POST", "none"), 2), (("other", "2xx"), 2)];
    assert_eq!(counted.requests.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!((counted.duration.count(), counted.upstream.count()), (8, 4));
    assert!(
        counted.reused > 0 && counted.idle_connections > 0,
        "{} {}",
        counted.reused,
        counted.idle_connections
    );
}

#[tokio::test]
async fn a_request_is_in_flight_until_the_last_byte_of_its_answer() {
    let (feed, body) = fed();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let upstream = Upstream::new(move |_| {
        let body = body.lock().unwrap().take().unwrap_or_else(empty);
        async move { http::Response::new(body) }
    })
    .await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    head(&mut client).await;
    assert_eq!(http(&controller).in_flight, 1);
    feed.send(data("x")).await.unwrap();
    drop(feed);
    until(|| http(&controller).in_flight == 0).await;

    // Given up by the client before there is an answer.
    let upstream = Upstream::new(|_| std::future::pending()).await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until(|| http(&controller).in_flight == 1).await;
    drop(client);
    until(|| http(&controller).in_flight == 0).await;
    assert_eq!(http(&controller).requests[&("GET", "none")], 1);
}

#[tokio::test]
async fn those_who_listen_are_told_of_each_request() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    for (kind, attributes) in [("http_delay", json!({"delay": 20})), ("http_abort", json!({"status": 503}))] {
        let mut attributes = attributes;
        attributes["match"] = json!({"path": "/charge"});
        controller.add_toxic("p", simple(kind, attributes)).unwrap();
    }
    let mut requests = controller.requests("p").unwrap();
    for (version, name) in [(Version::HTTP_11, "HTTP/1.1"), (Version::HTTP_2, "HTTP/2")] {
        let mut client = Client::new(&proxy, version).await;
        client.get("/a?b=c").await;
        client.get("/charge").await;
        let plain = next_of(&mut requests, "request").await;
        assert_eq!((&plain["protocol"], &plain["method"]), (&json!(name), &json!("GET")));
        assert_eq!((&plain["path"], &plain["status"]), (&json!("/a?b=c"), &json!(200)));
        assert!(plain["host"].is_string() && plain["upstream_ms"].is_f64(), "{plain}");
        assert_eq!(plain["faults"], json!([]));
        let faulty = next_of(&mut requests, "request").await;
        assert_eq!((&faulty["status"], &faulty["upstream_ms"]), (&json!(503), &json!(null)));
        assert_eq!(faulty["faults"], json!(["http_delay", "http_abort"]));
        assert!(faulty["duration_ms"].as_f64().unwrap() >= 20.0, "{faulty}");
    }
    controller.create(sabot_proxy::ProxySpec::new("t", "127.0.0.1:1")).await.unwrap();
    let refused = controller.requests("t").unwrap_err().to_string();
    assert!(refused.contains("protocol") && refused.contains("http"), "{refused}");
}

/// What the short way reads and hyper would: the same bytes in, the same bytes out.
#[tokio::test]
async fn the_short_way_and_the_other_say_the_same() {
    let exchange = async |asks: &str| {
        let upstream = Upstream::new(|request| async move {
            let response = http::Response::builder().header("X-Mixed", "1").header("set-cookie", "a");
            response.header("set-cookie", "b").header("x-way", "v").body(back(request)).unwrap()
        })
        .await;
        let (_controller, proxy) = http_proxy(upstream.addr).await;
        let sent = format!(
            "POST /p?q HTTP/1.1\r\nHost: a\r\nX-B: 2\r\nx-A: 1\r\n{asks}Content-Length: 3\r\nx-a: 0\r\n\r\nabc"
        );
        let mut client = raw(&proxy, &sent).await;
        let mut answer = head(&mut client).await;
        let mut body = [0; 3];
        within(tokio::io::AsyncReadExt::read_exact(&mut client, &mut body)).await.unwrap();
        answer.push_str(std::str::from_utf8(&body).unwrap());
        let seen = upstream.last();
        let headers: Vec<_> =
            seen.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        (answer, seen.method, seen.uri, headers)
    };
    let short = exchange("").await;
    // hyper takes what asks for anything more.
    let (answer, method, uri, headers) = exchange("TE: trailers\r\n").await;
    let without_te: Vec<_> = headers.into_iter().filter(|(name, _)| name != "te").collect();
    let lines = |answer: &str| answer.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!((lines(&short.0), short.1, short.2, short.3), (lines(&answer), method, uri, without_te));
}

/// Pieces of any size, several requests in one: what comes is what would have come.
#[tokio::test]
async fn requests_in_pieces_and_in_heaps_are_answered_in_order() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let one = |n: usize| format!("PUT /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nbody{n}");
    let all: String = (0..4).map(one).collect();
    for piece in [1, 7, 50, all.len()] {
        let mut client = raw(&proxy, "").await;
        for part in all.as_bytes().chunks(piece) {
            client.write_all(part).await.unwrap();
        }
        for n in 0..4 {
            head(&mut client).await;
            let mut body = [0; 5];
            within(tokio::io::AsyncReadExt::read_exact(&mut client, &mut body)).await.unwrap();
            assert_eq!(body, format!("body{n}").as_bytes(), "pieces of {piece}");
        }
    }
    // A request is counted once its last byte has gone, which the client may see before.
    until(|| http(&controller).requests.get(&("PUT", "2xx")) == Some(&16)).await;
    assert!(http(&controller).duration.sum_s < Duration::from_secs(60).as_secs_f64());
}

/// What toxics beneath hold, the client waits for; what they swallow, it never gets.
#[tokio::test]
async fn requests_are_counted_as_the_client_sees_them_through_stream_toxics() {
    let upstream = Upstream::echo().await;
    for version in BOTH {
        for stream in [Direction::Upstream, Direction::Downstream] {
            let (controller, proxy) = http_proxy(upstream.addr).await;
            let latency = ToxicSpec { stream, ..simple("latency", json!({"latency": 200})) };
            controller.add_toxic("p", latency).unwrap();
            let mut client = Client::new(&proxy, version).await;
            // Whichever way it is read: the first takes a head, the second a body.
            client.get("/").await;
            let large = vec![b'x'; 300_000];
            let request = client.request(Method::POST, "/").body(full(large)).unwrap();
            whole(client.send(request).await.unwrap()).await;
            until(|| http(&controller).in_flight == 0).await;
            let counted = http(&controller);
            assert_eq!(counted.requests.values().sum::<u64>(), 2);
            assert!(counted.duration.sum_s >= 0.4, "{version:?} {stream:?}: {}", counted.duration.sum_s);
            assert!(counted.upstream.sum_s < 0.2, "{version:?} {stream:?}: {}", counted.upstream.sum_s);
        }
        for (kind, attributes) in [
            ("timeout", json!({"timeout": 300})),
            ("limit_data", json!({"bytes": 10})),
            ("latency", json!({"latency": "1h"})),
        ] {
            let (controller, proxy) = http_proxy(upstream.addr).await;
            let mut client = Client::new(&proxy, version).await;
            client.get("/").await;
            controller.add_toxic("p", simple(kind, attributes)).unwrap();
            let request = client.request(Method::GET, "/lost").body(empty()).unwrap();
            let asking = tokio::spawn(async move { client.send(request).await.is_err() });
            if kind == "latency" {
                // It has been answered, and the client gives up.
                until(|| http(&controller).upstream.count() == 2).await;
                assert_eq!(http(&controller).in_flight, 1);
                let id = controller.connections(Some("p")).unwrap()[0].id;
                controller.close_connection("p", id).unwrap();
            }
            assert!(asking.await.unwrap(), "{version:?} {kind}");
            until(|| http(&controller).in_flight == 0).await;
            let counted: Vec<_> = http(&controller).requests.into_iter().collect();
            assert_eq!(counted, [(("GET", "2xx"), 1), (("GET", "none"), 1)], "{version:?} {kind}");
        }
    }
}

/// An answer that breaks off is none.
#[tokio::test]
async fn an_answer_that_breaks_off_is_counted_as_none() {
    let upstream = Upstream::new(|_| async {
        let (feed, body) = fed();
        tokio::spawn(async move {
            feed.send(data("part")).await.unwrap();
            feed.send(Err(h2::Reason::INTERNAL_ERROR.into())).await.unwrap();
        });
        http::Response::new(body)
    })
    .await;
    for version in BOTH {
        let (controller, proxy) = http_proxy(upstream.addr).await;
        let mut client = Client::new(&proxy, version).await;
        let request = client.request(Method::GET, "/").body(empty()).unwrap();
        let broken = client.send(request).await.unwrap();
        assert!(http_body_util::BodyExt::collect(broken.into_body()).await.is_err());
        until(|| http(&controller).requests.get(&("GET", "none")) == Some(&1)).await;
    }
}
