//! What one kind does to a request and its answer.

use http::Method;
use sabot_toxics::http::{Body, Fault};
use serde_json::{Value, json};

use super::one;
use super::refused::refused;
use super::world::{World, answer, chunked, get, json_answer, post};

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
