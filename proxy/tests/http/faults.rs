//! Faults of requests, over both versions.

use std::time::{Duration, Instant};

use http::{Method, Version};
use http_body_util::BodyExt;
use sabot_proxy::{Protocol, ProxyPatch, ProxySpec, ToxicPatch};
use serde_json::{Value, json};

use crate::support::*;

pub(crate) fn attributes(value: Value) -> ToxicPatch {
    ToxicPatch { attributes: value.as_object().cloned(), ..ToxicPatch::default() }
}

#[tokio::test]
async fn an_abort_answers_in_the_place_of_the_upstream() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let abort =
        json!({"status": 503, "body": "no", "headers": {"retry-after": "1"}, "match": {"path": "/charge"}});
    controller.add_toxic("p", simple("http_abort", abort)).unwrap();
    for version in BOTH {
        let mut client = Client::new(&proxy, version).await;
        for _ in 0..2 {
            let (answer, body) = client.get("/charge").await;
            assert_eq!((answer.status().as_u16(), &body[..]), (503, &b"no"[..]), "{version:?}");
            assert_eq!(values(answer.headers(), "retry-after"), ["1"]);
            assert_eq!(client.get("/other").await.0.status().as_u16(), 200);
            // The body of a request that is aborted is nobody's.
            let request = client.request(Method::POST, "/charge").body(full(vec![0; 100])).unwrap();
            assert_eq!(client.send(request).await.unwrap().status().as_u16(), 503);
            client = Client::new(&proxy, version).await;
        }
    }
    assert!(upstream.seen().iter().all(|seen| seen.uri.path() == "/other"));
    assert_eq!(controller.toxic("p", "http_abort_downstream").unwrap().applied, 8);
}

#[tokio::test]
async fn an_abort_answers_grpc_as_grpc_does() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    controller.add_toxic("p", simple("http_abort", json!({"grpc_status": "ABORTED"}))).unwrap();
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    let request = client.request(Method::POST, "/s/m").header("content-type", "application/grpc");
    let (answer, body) = whole(client.send(request.body(full("x")).unwrap()).await.unwrap()).await;
    assert_eq!((answer.status().as_u16(), body.len()), (200, 0));
    assert_eq!(values(answer.headers(), "grpc-status"), ["10"]);
}

#[tokio::test]
async fn a_delay_holds_where_it_is_told_to() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    for version in BOTH {
        for at in ["request", "response", "chunks"] {
            controller.add_toxic("p", simple("http_delay", json!({"delay": 60, "at": at}))).unwrap();
            let mut client = Client::new(&proxy, version).await;
            let (before, seen) = (Instant::now(), upstream.seen().len());
            let request = client.request(Method::POST, "/").body(full("x")).unwrap();
            let answer = client.send(request).await.unwrap();
            let head = before.elapsed();
            assert_eq!(whole(answer).await.1, "x");
            let all = before.elapsed();
            assert!(all >= Duration::from_millis(60), "{version:?} {at} {all:?}");
            assert!(at == "chunks" || head >= Duration::from_millis(60), "{version:?} {at} {head:?}");
            assert_eq!(upstream.seen().len(), seen + 1);
            controller.remove_toxic("p", "http_delay_downstream").unwrap();
        }
    }
}

/// How what hangs is let go.
enum Way {
    Remove,
    Disable,
    Delete,
    Kill,
    Shorten,
}

#[tokio::test]
async fn what_hangs_goes_on_when_the_fault_is_taken_back() {
    for (version, at) in
        BOTH.into_iter().flat_map(|version| ["request", "head", "body"].map(|at| (version, at)))
    {
        for way in [Way::Remove, Way::Shorten] {
            let upstream = Upstream::echo().await;
            let (controller, proxy) = http_proxy(upstream.addr).await;
            let mut events = controller.events("p").unwrap();
            controller
                .add_toxic(
                    "p",
                    simple("http_hang", json!({"at": at, "after": if at == "body" { 2 } else { 0 }})),
                )
                .unwrap();
            let mut client = Client::new(&proxy, version).await;
            let request = client.request(Method::POST, "/").body(full("hello")).unwrap();
            let asking = tokio::spawn(async move { whole(client.send(request).await.unwrap()).await.1 });
            next_of(&mut events, "toxic_applied").await;
            match way {
                Way::Remove => controller.remove_toxic("p", "http_hang_downstream").unwrap(),
                _ => {
                    let never = json!({"match": {"path": "/never"}});
                    let changed = controller.update_toxic("p", "http_hang_downstream", attributes(never));
                    drop(changed.unwrap());
                    // A request that hangs already was matched; its window closes.
                    let when = sabot_toxics::read_when(json!({"duration": 1})).unwrap();
                    let patch = ToxicPatch { when: Some(when), ..ToxicPatch::default() };
                    drop(controller.update_toxic("p", "http_hang_downstream", patch).unwrap());
                }
            }
            assert_eq!(within(asking).await.unwrap(), "hello", "{version:?} {at}");
        }
    }
}

#[tokio::test]
async fn what_hangs_ends_with_its_proxy_or_its_connection() {
    for version in BOTH {
        for way in [Way::Disable, Way::Delete, Way::Kill] {
            let upstream = Upstream::echo().await;
            let controller = one_worker(|_| {});
            let idle = controller.tasks();
            let proxy = add_proxy(&controller, upstream.addr).await;
            let mut events = controller.events("p").unwrap();
            controller.add_toxic("p", simple("http_hang", json!({}))).unwrap();
            let mut client = Client::new(&proxy, version).await;
            let request = client.request(Method::GET, "/").body(empty()).unwrap();
            let asking = tokio::spawn(async move { client.send(request).await.map(drop) });
            next_of(&mut events, "toxic_applied").await;
            match way {
                Way::Disable => {
                    let off = ProxyPatch { enabled: Some(false), ..ProxyPatch::default() };
                    drop(controller.update("p", off).await.unwrap());
                }
                Way::Delete => controller.delete("p").await.unwrap(),
                _ => {
                    let id = controller.connections(Some("p")).unwrap()[0].id;
                    controller.close_connection("p", id).unwrap();
                }
            }
            assert!(within(asking).await.unwrap().is_err());
            if !matches!(way, Way::Kill) {
                until(|| controller.tasks() <= idle).await;
            }
            assert!(upstream.seen().is_empty());
        }
    }
}

#[tokio::test]
async fn what_hangs_behind_pipelined_requests_can_be_killed() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let mut events = controller.events("p").unwrap();
    controller.add_toxic("p", simple("http_hang", json!({}))).unwrap();
    let mut client = raw(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3)).await;
    next_of(&mut events, "toxic_applied").await;
    let id = controller.connections(Some("p")).unwrap()[0].id;
    controller.close_connection("p", id).unwrap();
    assert!(was_reset(&mut client).await);
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_what_hangs_with_it() {
    let upstream = Upstream::echo().await;
    for version in BOTH {
        let controller = one_worker(|_| {});
        let proxy = add_proxy(&controller, upstream.addr).await;
        let mut events = controller.events("p").unwrap();
        controller.add_toxic("p", simple("http_hang", json!({}))).unwrap();
        let with_proxy = controller.tasks();
        let mut client = Client::new(&proxy, version).await;
        let request = client.request(Method::GET, "/").body(empty()).unwrap();
        let asking = tokio::spawn(async move { client.send(request).await.map(drop) });
        next_of(&mut events, "toxic_applied").await;
        asking.abort();
        until(|| controller.proxy("p").unwrap().open_connections == 0).await;
        until(|| controller.tasks() <= with_proxy).await;
    }
}

#[tokio::test]
async fn a_reset_of_one_stream_leaves_the_others() {
    // A stream that the client gives up is given up upstream as well.
    let upstream = Upstream::new(|_| async {
        let (feed, body) = fed();
        tokio::spawn(async move {
            feed.send(data("begun")).await.unwrap();
            feed.closed().await;
        });
        http::Response::new(body)
    })
    .await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = client.request(Method::GET, "/").body(empty()).unwrap();
        let mut body = client.send(request).await.unwrap().into_body();
        assert!(within(body.frame()).await.unwrap().is_ok());
        answers.push(body);
    }
    until(|| upstream.open() == 2).await;
    drop(answers.pop());
    until(|| upstream.open() == 1).await;
    drop(answers);
    until(|| upstream.open() == 0).await;
}

#[tokio::test]
async fn the_same_seed_takes_the_same_requests() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let upstream = Upstream::echo().await;
        let (controller, proxy) = http_proxy(upstream.addr).await;
        let half = toxic(json!({"type": "http_abort", "toxicity": 0.5}));
        controller.add_toxic("p", half).unwrap();
        let mut client = Client::new(&proxy, Version::HTTP_11).await;
        let mut statuses = Vec::new();
        for _ in 0..64 {
            statuses.push(client.get("/").await.0.status().as_u16());
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    let taken = runs[0].iter().filter(|status| **status == 503).count();
    assert!((16..48).contains(&taken), "{taken} of 64");
}

#[tokio::test]
async fn requests_above_the_cap_pass_without_a_fault() {
    let upstream = Upstream::echo().await;
    let controller = one_worker(|_| {});
    let spec = ProxySpec {
        protocol: Protocol::Http,
        max_active_faults: Some(2),
        ..ProxySpec::new("p", upstream.addr.to_string())
    };
    let proxy = controller.create(spec).await.unwrap();
    assert_eq!(proxy.max_active_faults, Some(2));
    controller.add_toxic("p", simple("http_hang", json!({}))).unwrap();
    let mut hanging = Vec::new();
    for version in BOTH {
        let mut client = Client::new(&proxy, version).await;
        let request = client.request(Method::GET, "/").body(empty()).unwrap();
        hanging.push(tokio::spawn(async move { client.send(request).await.map(drop) }));
    }
    let applied = || controller.proxy("p").unwrap().toxics[0].applied;
    until(|| applied() == 2).await;
    let mut client = Client::new(&proxy, Version::HTTP_11).await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.0.status().as_u16(), 200);
    }
    assert_eq!((applied(), controller.totals()[0].faults_capped), (2, 3));
    // Who leaves makes room.
    hanging.pop().unwrap().abort();
    until(|| controller.proxy("p").unwrap().open_connections == 2).await;
    let request = client.request(Method::GET, "/").body(empty()).unwrap();
    hanging.push(tokio::spawn(async move { client.send(request).await.map(drop) }));
    until(|| applied() == 3).await;
    controller.remove_toxic("p", "http_hang_downstream").unwrap();
    for hanging in hanging.drain(..) {
        within(hanging).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_cap_that_means_nothing_is_refused() {
    let controller = one_worker(|_| {});
    let refused = async |protocol, cap| {
        let spec = ProxySpec { protocol, max_active_faults: Some(cap), ..ProxySpec::new("p", "127.0.0.1:1") };
        controller.create(spec).await.unwrap_err().to_string()
    };
    assert!(refused(Protocol::Http, 0).await.starts_with("max_active_faults: must be at least 1"));
    assert!(refused(Protocol::Tcp, 5).await.contains("create it with `protocol` http"));
}

/// HEAD, 204 and 304 have no body, whatever a fault gives them; over HTTP/2 one would be an error.
#[tokio::test]
async fn answers_that_have_no_body_get_none_from_a_fault() {
    let upstream = Upstream::new(|_| async { http::Response::new(full("answer")) }).await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let (head, get) = (Method::HEAD, Method::GET);
    let cases = [
        ("http_abort", json!({"status": 503, "body": "hello"}), &head, 503, Some("5")),
        ("http_abort", json!({"status": 204, "body": "hello"}), &get, 204, None),
        ("http_abort", json!({"status": 304, "body": "hello"}), &get, 304, None),
        ("http_status", json!({"status": 204}), &get, 204, None),
        ("http_status", json!({"status": 204}), &head, 204, None),
        ("http_rewrite", json!({"method": "GET"}), &head, 200, Some("6")),
        ("modify_body", json!({"body": "xy"}), &head, 200, Some("2")),
        ("http_concurrency", json!({"limit": 0}), &head, 503, Some("32")),
    ];
    for (kind, attributes, method, status, length) in cases {
        let mut toxic = simple(kind, attributes.clone());
        kind.clone_into(&mut toxic.name);
        controller.add_toxic("p", toxic).unwrap();
        for version in BOTH {
            let mut client = Client::new(&proxy, version).await;
            let request = client.request(method.clone(), "/").body(empty()).unwrap();
            let (answer, body) = whole(client.send(request).await.unwrap()).await;
            assert_eq!(
                (answer.status().as_u16(), body.len()),
                (status, 0),
                "{kind} {attributes} {version:?}"
            );
            let lengths = values(answer.headers(), "content-length");
            assert_eq!(lengths.first().map(String::as_str), length, "{kind} {attributes} {version:?}");
        }
        controller.remove_toxic("p", kind).unwrap();
    }
}

#[tokio::test]
async fn a_fault_changes_the_host_that_goes_up() {
    let upstream = Upstream::echo().await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    let matcher = json!({"headers": {"host": {"prefix": "test."}}});
    let set = json!({"side": "request", "set": {"host": "other.example"}, "match": matcher});
    controller.add_toxic("p", simple("http_headers", set)).unwrap();
    let remove = attributes(json!({"set": null, "remove": ["host"]}));
    for version in BOTH {
        for kind in ["text/plain", "application/grpc"] {
            let mut hosts = Vec::new();
            for patch in [attributes(json!({"set": {"host": "other.example"}, "remove": []})), remove.clone()]
            {
                controller.update_toxic("p", "http_headers_downstream", patch).unwrap();
                let mut client = Client::new(&proxy, version).await;
                let request = client.request(Method::POST, "/s/m").header("content-type", kind);
                let (answer, _) = whole(client.send(request.body(full("x")).unwrap()).await.unwrap()).await;
                assert_eq!(answer.status().as_u16(), 200, "{version:?} {kind}");
                let seen = upstream.last();
                let authority = seen.uri.authority().map(ToString::to_string);
                hosts.push(authority.into_iter().chain(values(&seen.headers, "host")).collect::<Vec<_>>());
            }
            assert_eq!(hosts, [vec!["other.example"], vec![]], "{version:?} {kind}");
        }
    }
    assert_eq!(controller.toxic("p", "http_headers_downstream").unwrap().applied, 8);
}

#[tokio::test]
async fn the_error_of_a_grpc_call_stays_one_head() {
    let upstream = Upstream::new(|_| async {
        let head = http::Response::builder().header("content-type", "application/grpc");
        head.header("grpc-status", "5").body(empty()).unwrap()
    })
    .await;
    let (controller, proxy) = http_proxy(upstream.addr).await;
    for (kind, given) in [
        ("http_delay", json!({"delay": 1, "at": "chunks"})),
        ("http_truncate", json!({"bytes": 0})),
        ("http_hang", json!({"at": "body"})),
        ("http_reset", json!({"at": "head"})),
        ("http_body", json!({"corrupt": 1})),
        ("http_concurrency", json!({"limit": 9})),
    ] {
        controller.add_toxic("p", simple(kind, given)).unwrap();
    }
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    let request = client.request(Method::POST, "/s/m").header("content-type", "application/grpc");
    let answer = client.send(request.body(full("x")).unwrap()).await.unwrap();
    assert!(http_body::Body::is_end_stream(answer.body()), "something came behind the head");
    assert_eq!(values(answer.headers(), "grpc-status"), ["5"]);
}
