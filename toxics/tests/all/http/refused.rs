//! What is refused, and the remedy that is named.

use serde_json::{Value, json};

/// What is said of attributes that are refused.
pub(super) fn refused(kind: &str, attributes: Value) -> String {
    let Value::Object(map) = attributes else { panic!("attributes are an object") };
    sabot_toxics::kind(kind).unwrap().parse(&map).err().unwrap().to_string()
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
