//! What one kind does to a request and its answer, and when.

use http::Method;
use sabot_toxics::http::{Body, Dialled, Fault, Response};
use serde_json::{Value, json};

use super::one;
use super::world::{World, answer, chunked, get, json_answer, post};
use crate::support::{MS, at_ms, plan, toxic};

fn refused(kind: &str, attributes: Value) -> String {
    let Value::Object(map) = attributes else { panic!("attributes are an object") };
    sabot_toxics::kind(kind).unwrap().parse(&map).err().unwrap().to_string()
}

#[test]
fn abort_answers_in_place_of_the_upstream() {
    let attributes =
        json!({"status": 429, "headers": {"retry-after": 3, "content-length": 99}, "body": "slow down"});
    let world = World::new(one("http_abort", attributes));
    let got = world.send(1, post("/charge")).unwrap();
    assert_eq!((got.status(), got.text().as_str()), (429, "slow down"));
    assert_eq!(got.header("retry-after"), Some("3"));
    assert_eq!(got.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(got.header("content-length"), None, "hyper says how long it is");
    assert!(world.seen().is_empty());
    assert!(refused("http_abort", json!({"status": 99})).contains("99 is no status"));
}

#[test]
fn abort_answers_a_grpc_call_as_grpc_does() {
    let call = || {
        let request =
            http::Request::post("/shop.Payments/Charge").header("content-type", "application/grpc+proto");
        request.body(Body::full("frame")).unwrap()
    };
    let cases = [
        (json!({}), "14", None),
        (json!({"status": 401}), "16", None),
        (json!({"grpc_status": "RESOURCE_EXHAUSTED", "grpc_message": "50% ü"}), "8", Some("50%25 %C3%BC")),
        (json!({"grpc_status": 4, "body": "not for gRPC"}), "4", None),
    ];
    for (attributes, status, message) in cases {
        let world = World::new(one("http_abort", attributes.clone()));
        let got = world.send(1, call()).unwrap();
        assert_eq!(got.status(), 200, "{attributes}");
        assert_eq!(got.header("grpc-status"), Some(status), "{attributes}");
        assert_eq!(got.header("grpc-message"), message, "{attributes}");
        assert_eq!(got.header("content-type"), Some("application/grpc"));
        assert!(got.chunks.is_empty() && got.trailers.is_none(), "trailers only");
    }
}

#[test]
fn delay_waits_where_it_is_told_and_exactly_so_long() {
    let three = || answer().map(|_| chunked(&[b"ab", b"c", b"def"]));
    let cases = [
        ("request", 25.0, 25.0, [25.0; 3]),
        ("response", 0.0, 25.0, [25.0; 3]),
        ("chunks", 0.0, 0.0, [25.0, 50.0, 75.0]),
    ];
    for (at, up, head, chunks) in cases {
        let world = World::new(one("http_delay", json!({"delay": 25, "at": at}))).answering(move |_| three());
        let got = world.send(1, post("/charge")).unwrap();
        assert_eq!(world.seen()[0].at, at_ms(up), "{at}");
        assert_eq!(got.at, at_ms(head), "{at}");
        let moments: Vec<_> = got.chunks.iter().map(|(moment, _)| *moment).collect();
        assert_eq!(moments, chunks.map(at_ms), "{at}");
        assert_eq!(got.text(), "abcdef");
    }
}

#[test]
fn the_upstream_is_got_ready_by_the_last_that_waits_if_the_request_goes_up() {
    let delay = |ms: u32| toxic("http_delay", json!({"delay": ms}));
    let cases = [
        (vec![delay(25)], Some(25.0)),
        (vec![delay(25), delay(5)], Some(30.0)),
        (vec![delay(25), toxic("http_status", json!({"status": 500}))], Some(25.0)),
        (vec![delay(25), toxic("http_headers", json!({"side": "request", "set": {"a": "b"}}))], Some(25.0)),
        (vec![toxic("http_abort", json!({"match": {"path": "/other"}})), delay(25)], Some(25.0)),
        (vec![delay(25), toxic("http_abort", json!({"match": {"status": 200}}))], Some(25.0)),
        (vec![toxic("envoy_fault", json!({}))], Some(25.0)),
        // What answers itself, or may, keeps the upstream from being asked at all.
        (vec![delay(25), toxic("http_abort", json!({}))], None),
        (vec![delay(25), toxic("http_reset", json!({}))], None),
        (vec![delay(25), toxic("http_stale", json!({}))], None),
        (vec![delay(25), toxic("http_rate_limit", json!({}))], None),
        (vec![toxic("http_delay", json!({"delay": 25, "at": "response"}))], None),
    ];
    for (number, (toxics, at)) in cases.into_iter().enumerate() {
        let world = World::new(plan(toxics));
        let mut request = get("/");
        request.headers_mut().insert("x-envoy-fault-delay-request", "25".parse().unwrap());
        let _ = world.send(1, request);
        assert_eq!(world.prepared(), at.map(at_ms).into_iter().collect::<Vec<_>>(), "case {number}");
    }
}

#[test]
fn the_time_of_a_dial_for_the_faults_sake_is_a_part_of_the_delay() {
    for (delay, head) in [(25, 23.0), (1, 0.0)] {
        let world = World::new(one("http_delay", json!({"delay": delay, "at": "response"})));
        let world = world.answering(|_| {
            let mut answer = answer();
            answer.extensions_mut().insert(Dialled(2 * MS));
            answer
        });
        assert_eq!(world.send(1, get("/")).unwrap().at, at_ms(head), "{delay}");
    }
}

#[test]
fn delays_in_a_row_add_up_and_jitter_belongs_to_the_request() {
    let both = || plan([toxic("http_delay", json!({"delay": 20})), toxic("http_delay", json!({"delay": 5}))]);
    assert_eq!(World::new(both()).send(1, get("/")).unwrap().at, at_ms(25.0));

    let jittered = || World::new(one("http_delay", json!({"delay": 20, "jitter": 10})));
    let delay = |number| jittered().send(number, get("/")).unwrap().at;
    let delays: Vec<_> = (0..100).map(delay).collect();
    assert_eq!(delays, (0..100).map(delay).collect::<Vec<_>>());
    assert!(delays.iter().all(|at| (at_ms(10.0)..=at_ms(30.0)).contains(at)), "{delays:?}");
    assert!(delays.iter().collect::<std::collections::HashSet<_>>().len() > 90);
}

#[test]
fn hang_stops_where_it_is_told_and_goes_on_after_its_end() {
    let cases = [
        (json!({}), 40.0, 40.0, ""),
        (json!({"at": "head"}), 0.0, 0.0, ""),
        (json!({"at": "body", "after": 8}), 0.0, 0.0, r#"{"ok":tr"#),
        (json!({"at": "body"}), 0.0, 0.0, ""),
    ];
    for (attributes, up, head, before) in cases {
        let world = World::new(one("http_hang", attributes.clone())).removed_at(40.0);
        let got = world.send(1, post("/charge")).unwrap();
        assert_eq!((world.seen()[0].at, got.at), (at_ms(up), at_ms(head)), "{attributes}");
        let early = got.chunks.iter().filter(|(moment, _)| *moment < at_ms(40.0));
        assert_eq!(early.flat_map(|(_, data)| data.to_vec()).collect::<Vec<_>>(), before.as_bytes());
        assert_eq!(got.text(), r#"{"ok":true,"sum":12}"#, "{attributes}");
        assert_eq!(got.ended, at_ms(40.0), "{attributes}");
    }
}

#[test]
fn reset_breaks_off_where_it_is_told_with_its_code() {
    let world = World::new(one("http_reset", json!({})));
    assert_eq!(world.send(1, get("/")).err(), Some(Fault::Reset(8)));
    assert!(world.seen().is_empty(), "it never went up");

    let cases = [
        (json!({"at": "head", "code": "enhance-your-calm"}), 11, ""),
        (json!({"at": "body", "after": 6, "code": 7}), 7, r#"{"ok":"#),
        (json!({"at": "body", "after": 0, "code": 4096}), 4096, ""),
    ];
    for (attributes, code, body) in cases {
        let world = World::new(one("http_reset", attributes.clone()));
        let got = world.send(1, get("/")).unwrap();
        assert_eq!(
            (got.broke.clone(), got.text().as_str()),
            (Some(Fault::Reset(code)), body),
            "{attributes}"
        );
        assert_eq!(got.header("content-length"), Some("20"), "{attributes}");
    }
    for code in [json!("CANCEL"), json!("NO_ERROR"), json!(99)] {
        let kind = sabot_toxics::kind("http_reset").unwrap();
        let map = serde_json::Map::from_iter([("code".to_owned(), code.clone())]);
        assert_eq!(kind.parse(&map).unwrap().attributes()["code"], code);
    }
    assert!(refused("http_reset", json!({"code": "CANCLE"})).contains("did you mean"));
}

#[test]
fn a_cut_body_keeps_its_head_and_one_that_is_short_enough_its_end() {
    let cut = |bytes: u64, chunks: &'static [&'static [u8]]| {
        let world = World::new(one("http_truncate", json!({"bytes": bytes}))).answering(move |_| {
            answer().map(|_| if chunks.is_empty() { Body::full("0123456789") } else { chunked(chunks) })
        });
        let got = world.send(1, get("/")).unwrap();
        assert_eq!(got.header("content-length"), Some("20"), "what was announced stays");
        assert_eq!(world.acted().len(), usize::from(got.broke.is_some()));
        (got.text(), got.broke)
    };
    assert_eq!(cut(4, &[]), ("0123".to_owned(), Some(Fault::Close)));
    assert_eq!(cut(0, &[]), (String::new(), Some(Fault::Close)));
    assert_eq!(cut(10, &[]), ("0123456789".to_owned(), None));
    assert_eq!(cut(11, &[]), ("0123456789".to_owned(), None));
    assert_eq!(cut(5, &[b"012", b"345", b"6"]), ("01234".to_owned(), Some(Fault::Close)));
    assert_eq!(cut(6, &[b"012", b"345", b"6"]), ("012345".to_owned(), Some(Fault::Close)));
}

#[test]
fn throttle_keeps_its_rate_in_small_pieces_whatever_the_chunks() {
    let long = vec![b'x'; 200_000];
    for (rate, expected_ms) in
        [("100KB/s", 2000.0), ("7KB/s", 28571.428571), ("1GB/s", 0.2), ("123456B/s", 1620.0103680)]
    {
        for (side, cut) in [("response", 200_000), ("response", 1000), ("response", 7777), ("request", 4096)]
        {
            let pieces: Vec<Vec<u8>> = long.chunks(cut).map(<[u8]>::to_vec).collect();
            let body = move || chunked(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let again = body.clone();
            let world = World::new(one("http_throttle", json!({"rate": rate, "side": side})))
                .answering(move |_| Response::new(again()));
            let got = world.send(1, http::Request::post("/").body(body()).unwrap()).unwrap();
            let up = world.seen().remove(0);
            let (chunks, ended) =
                if side == "request" { (&up.chunks, up.ended) } else { (&got.chunks, got.ended) };
            assert_eq!(chunks.iter().map(|(_, data)| data.len()).sum::<usize>(), 200_000);
            let off = ended.as_nanos().abs_diff(at_ms(expected_ms).as_nanos());
            assert!(off <= 10, "{rate} {side} {cut}: {off} ns off");
            assert!(chunks.iter().all(|(_, data)| data.len() <= 16 * 1024));
            let gaps = chunks.windows(2).map(|pair| pair[1].0.saturating_since(pair[0].0));
            assert!(gaps.max().unwrap() <= 10 * MS, "{rate} {side} {cut}");
        }
    }
}

#[test]
fn a_pause_saves_up_no_more_than_a_piece() {
    let slow = plan([
        toxic("http_throttle", json!({"rate": "10KB/s"})),
        toxic("http_delay", json!({"delay": 1000, "at": "chunks"})),
    ]);
    let world = World::new(slow).answering(|_| Response::new(chunked(&[&[0; 1000], &[0; 1000]])));
    let got = world.send(1, get("/")).unwrap();
    assert_eq!(got.ended, at_ms(2200.0), "100 ms for each, behind a pause of a second");
    assert_eq!(got.chunks[0].0, at_ms(1010.0));
}

#[test]
fn another_rate_holds_at_once_for_bodies_on_their_way() {
    // (rate, another rate from 100 ms on, when 10 kB are through)
    for (rate, then, expected_ms) in [
        ("10KB/s", json!("100KB/s"), 190.0),
        ("100KB/s", json!("10KB/s"), 100.0),
        ("50KB/s", json!("10KB/s"), 600.0),
        ("0B/s", json!("100KB/s"), 200.0),
        ("1B/s", json!("1MB/s"), 110.0),
    ] {
        let world = World::new(one("http_throttle", json!({"rate": rate})))
            .updated_at(100.0, json!({"rate": then}))
            .answering(|_| Response::new(chunked(&[&[0; 10_000]])));
        let ended = world.send(1, get("/")).unwrap().ended;
        let off = ended.as_nanos().abs_diff(at_ms(expected_ms).as_nanos());
        assert!(off < 200_000, "{rate} then {then}: {ended:?}");
    }
}

#[test]
fn the_host_is_one_in_either_version() {
    let asked = |two: bool| {
        let mut request = get(if two { "http://shop.test/a" } else { "/a" });
        if two {
            *request.version_mut() = http::Version::HTTP_2;
            request.headers_mut().remove("host");
        }
        request
    };
    for (attributes, host) in [
        (json!({"set": {"host": "other.test:81"}}), Some("other.test:81")),
        (json!({"set": {"host": "no host"}}), Some("no host")),
        (json!({"remove": ["host"]}), None),
        (json!({"set": {"x-a": "1"}}), Some("shop.test")),
    ] {
        let mut attributes = attributes;
        attributes["side"] = "request".into();
        attributes["match"] = json!({"headers": {"host": "shop.test"}});
        for two in [false, true] {
            let world = World::new(one("http_headers", attributes.clone()));
            world.send(1, asked(two)).unwrap();
            let case = format!("{attributes} {two}");
            assert_eq!(world.acted().len(), 1, "{case}");
            let up = world.seen().remove(0).head;
            let header = up.headers.get("host").map(|host| host.to_str().unwrap());
            let target = up.uri.authority().map(http::uri::Authority::as_str);
            // Where the target names it, it is not said twice.
            assert!(header.is_none() || target.is_none(), "{case}: {header:?} {target:?}");
            assert_eq!(header.or(target), host, "{case}");
            assert_eq!(up.uri.path(), "/a", "{case}");
        }
    }
}

#[test]
fn what_can_never_fit_is_refused_with_the_remedy() {
    for (kind, attributes, error) in [
        ("http_abort", json!({"status": []}), "status: is an empty list: give one"),
        ("http_status", json!({"status": []}), "status: is an empty list: give one"),
    ] {
        assert!(refused(kind, attributes).starts_with(error), "{kind}");
    }
    for (matcher, error) in [
        (json!({"method": []}), "match.method: is an empty list: give one"),
        (json!({"status": []}), "match.status: is an empty list: give one"),
        (
            json!({"path": "charge"}),
            "match.path: `charge` can never fit: paths begin with `/`, write `/charge`",
        ),
        (json!({"path": {"prefix": "api/"}}), "match.path: `api/` can never fit"),
        (json!({"path": ""}), "match.path: `` can never fit"),
        (json!({"path": "/a?b=1"}), "match.path: `/a?b=1` holds more than a path: `match.query`"),
        (json!({"path": {"prefix": "/a#b"}}), "match.path: `/a#b` holds more than a path"),
        (
            json!({"host": "Api.test"}),
            "match.host: `Api.test` can never fit: hosts are compared in lower case",
        ),
        (json!({"host": "api.test:80"}), "match.host: `api.test:80` can never fit: the port is not compared"),
        (json!({"host": {"prefix": "api:8"}}), "match.host: `api:8` can never fit"),
        (json!({"host": "[::1]:80"}), "match.host: `[::1]:80` can never fit"),
        (
            json!({"host": "::1"}),
            "match.host: `::1` can never fit: write an IPv6 address in brackets, `[::1]`",
        ),
        (json!({"host": ""}), "match.host: is empty"),
    ] {
        let said = refused("http_abort", json!({"match": matcher}));
        assert!(said.starts_with(error), "{matcher}: {said}");
    }
    for matcher in [
        json!({"path": "/", "host": "[::1]"}),
        json!({"path": "*", "host": {"prefix": "[2001:"}}),
        json!({"path": {"prefix": ""}, "host": {"prefix": ""}}),
        json!({"path": {"regex": "charge$"}, "host": {"glob": "*.test"}}),
        json!({"path": {"glob": "**/a?b"}, "host": "a_b.test"}),
    ] {
        let attributes = json!({"match": matcher});
        let parsed = sabot_toxics::kind("http_abort").unwrap().parse(attributes.as_object().unwrap());
        assert!(parsed.is_ok(), "{attributes}: {}", parsed.err().unwrap());
    }
}

#[test]
fn bytes_are_counted_in_bodies_only() {
    for kind in ["http_hang", "http_reset"] {
        for at in [json!({}), json!({"at": "request"}), json!({"at": "head"})] {
            let mut attributes = at;
            attributes["after"] = 10.into();
            let error = refused(kind, attributes);
            assert!(error.starts_with("after: ") && error.contains("give `at` as body"), "{kind}: {error}");
        }
    }
}

#[test]
fn a_status_that_can_be_waited_for_is_taken() {
    for (kind, attributes) in [
        ("http_abort", json!({"match": {"status": "5xx"}})),
        ("http_delay", json!({"at": "chunks", "match": {"status": 200}})),
        ("http_hang", json!({"at": "head", "match": {"status": 200}})),
        ("http_reset", json!({"at": "body", "match": {"status": 200}})),
        ("http_goaway", json!({"after": 0, "match": {"status": 500}})),
        ("http_goaway", json!({"code": 11, "match": {"status": 500}})),
        ("websocket", json!({"match": {"status": [101, 500]}})),
    ] {
        assert!(
            sabot_toxics::kind(kind).unwrap().parse(attributes.as_object().unwrap()).is_ok(),
            "{attributes}"
        );
    }
    let error = refused("websocket", json!({"match": {"status": "5xx"}}));
    assert!(error.starts_with("match.status: is 101") && error.contains("leave it out"), "{error}");
}

#[test]
fn what_acts_on_the_way_up_cannot_wait_for_a_status() {
    for (kind, attributes) in [
        ("envoy_fault", json!({})),
        ("header", json!({"mode": "request"})),
        ("http_body", json!({"side": "request"})),
        ("http_concurrency", json!({})),
        ("http_delay", json!({})),
        ("http_duplicate", json!({})),
        ("http_goaway", json!({"after": 0, "code": "ENHANCE_YOUR_CALM"})),
        ("http_hang", json!({"at": "request"})),
        ("http_headers", json!({"side": "request"})),
        ("http_rate_limit", json!({})),
        ("http_reset", json!({})),
        ("http_rewrite", json!({})),
        ("http_stale", json!({})),
        ("http_throttle", json!({"side": "request"})),
    ] {
        let with = |matcher: Value| {
            let mut attributes = attributes.as_object().unwrap().clone();
            attributes.insert("match".to_owned(), matcher);
            sabot_toxics::kind(kind).unwrap().parse(&attributes).err()
        };
        let error = with(json!({"status": 500})).unwrap();
        assert_eq!(error.field, "match.status", "{kind}");
        assert!(
            error.message.contains("or leave it out") || error.message.ends_with(": leave it out"),
            "{error}"
        );
        assert!(with(json!({"path": "/"})).is_none(), "{kind}");
    }
    for (kind, attributes, says) in [
        (
            "http_delay",
            json!({}),
            "with `at` request http_delay acts before that: give `at` as response or chunks",
        ),
        ("http_reset", json!({}), "with `at` request http_reset acts before that: give `at` as head or body"),
        ("http_headers", json!({"side": "request"}), "give `side` as response, or leave it out"),
    ] {
        let mut attributes = attributes;
        attributes["match"] = json!({"status": "5xx"});
        let error = refused(kind, attributes);
        assert!(error.starts_with("match.status: ") && error.contains(says), "{error}");
    }
}

#[test]
fn headers_change_in_place_and_framing_is_refused() {
    let change = json!({"side": "response", "set": {"content-type": "text/plain"}, "add": {"set-cookie": "c=3"}, "remove": "x-gone,x-too"});
    let world = World::new(one("http_headers", change)).answering(|_| {
        let mut response = json_answer("{}");
        for name in ["x-gone", "x-stays", "x-too", "x-last"] {
            response.headers_mut().insert(name, "1".parse().unwrap());
        }
        response
    });
    let got = world.send(1, get("/")).unwrap();
    let names: Vec<_> =
        got.head.headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
    assert_eq!(
        names,
        [
            "content-type=text/plain",
            "content-length=2",
            "set-cookie=a=1",
            "set-cookie=b=2",
            "set-cookie=c=3",
            "x-stays=1",
            "x-last=1"
        ]
    );
    for (field, value, reason) in [
        ("set", json!({"Content-Length": "5"}), "http_truncate"),
        ("add", json!({"transfer-encoding": "chunked"}), "frames the body"),
        ("remove", json!(["Connection"]), "one connection"),
        ("set", json!({"b c": "1"}), "no name of a header"),
        ("set", json!({"b": "1\n2"}), "control characters"),
    ] {
        let error = refused("http_headers", json!({field: value}));
        assert!(error.starts_with(field) && error.contains(reason), "{error}");
    }
}

#[test]
fn rewrite_changes_what_goes_up() {
    let cases = [
        (json!({"path": "/v2/pay"}), "POST", "/v2/pay?id=7&debug"),
        (json!({"strip_prefix": "/api"}), "POST", "/charge?id=7&debug"),
        (json!({"strip_prefix": "/api/charge"}), "POST", "/?id=7&debug"),
        (json!({"strip_prefix": "/ap"}), "POST", "/api/charge?id=7&debug"),
        (json!({"add_prefix": "/v1/"}), "POST", "/v1/api/charge?id=7&debug"),
        (json!({"strip_prefix": "/api", "add_prefix": "/v2"}), "POST", "/v2/charge?id=7&debug"),
        (
            json!({"set_query": {"id": "8 & 9", "z": "ü"}}),
            "POST",
            "/api/charge?debug&id=8%20%26%209&z=%C3%BC",
        ),
        (json!({"remove_query": "id,debug"}), "POST", "/api/charge"),
        (json!({"method": "patch"}), "PATCH", "/api/charge?id=7&debug"),
    ];
    for (attributes, method, target) in cases {
        let world = World::new(one("http_rewrite", attributes.clone()));
        world.send(1, post("/api/charge?id=7&debug")).unwrap();
        let up = world.seen().remove(0);
        assert_eq!(
            (up.head.method.as_str(), up.head.uri.to_string().as_str()),
            (method, target),
            "{attributes}"
        );
        assert_eq!(
            world.acted().len(),
            usize::from(attributes != json!({"strip_prefix": "/ap"})),
            "{attributes}"
        );
    }
    let world = World::new(one("http_rewrite", json!({"path": "/b"})));
    world.send(1, get("http://shop.test:8080/a?q")).unwrap();
    assert_eq!(world.seen()[0].head.uri, "http://shop.test:8080/b?q");

    let world = World::new(one("http_rewrite", json!({"method": "HEAD"})))
        .answering(|_| answer().map(|_| Body::empty()));
    assert_eq!(world.send(1, get("/")).unwrap().header("content-length"), Some("0"));
    for (field, value) in
        [("path", "v2"), ("path", "/a?b"), ("add_prefix", "/ü x"), ("method", "GE T"), ("method", "connect")]
    {
        assert!(refused("http_rewrite", json!({field: value})).starts_with(field), "{value}");
    }
    assert!(refused("http_rewrite", json!({"path": "/a", "add_prefix": "/b"})).starts_with("path"));
}

#[test]
fn status_keeps_the_answer_and_takes_bodies_from_those_without() {
    let asked = |attributes: Value, method: Method, before: u16| {
        let world = World::new(one("http_status", attributes)).answering(move |_| {
            let mut response = answer();
            *response.status_mut() = before.try_into().unwrap();
            if matches!(before, 101 | 204 | 304) {
                *response.body_mut() = Body::empty();
            }
            response
        });
        let got =
            world.send(1, http::Request::builder().method(method).body(Body::empty()).unwrap()).unwrap();
        (got.status(), got.text().len(), got.header("content-length").is_some(), world.acted().len())
    };
    assert_eq!(asked(json!({}), Method::GET, 200), (503, 20, true, 1));
    assert_eq!(asked(json!({"status": 204}), Method::GET, 200), (204, 0, false, 1));
    assert_eq!(asked(json!({"status": 500}), Method::GET, 304), (500, 0, false, 1));
    assert_eq!(asked(json!({"status": 304}), Method::HEAD, 200), (304, 0, true, 1));
    assert_eq!(asked(json!({"status": 200}), Method::GET, 200), (200, 20, true, 0));
    assert_eq!(asked(json!({"status": 500}), Method::GET, 101), (101, 0, true, 0));
}
