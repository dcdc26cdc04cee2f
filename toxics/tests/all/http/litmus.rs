//! The HTTP faults of Litmus.

use std::io::Read;

use futures_util::FutureExt;
use sabot_toxics::http::{Body, Response};
use serde_json::json;

use super::bench::{Bench, header, refused, text};

fn real() -> Response {
    let mut response = Response::new(Body::full("real"));
    response.headers_mut().insert("content-length", 4.into());
    response.headers_mut().insert("content-type", "text/x-real".parse().unwrap());
    response.headers_mut().insert("content-encoding", "br".parse().unwrap());
    response
}

#[test]
fn litmus_status_code_keeps_or_replaces_the_body() {
    let answer = |attributes| {
        let bench = Bench::new("status_code", attributes).answering(real);
        let answer = bench.get();
        assert!(bench.seen().is_some(), "the upstream is asked");
        answer
    };
    let kept = answer(json!({"status_code": 503}));
    assert_eq!((kept.status().as_u16(), header(&kept, "content-length")), (503, "4"));
    assert_eq!(text(kept), "real");

    let named = answer(json!({"status_code": 404, "modify_response_body": 1}));
    assert_eq!((header(&named, "content-length"), header(&named, "content-encoding")), ("", ""));
    assert_eq!(header(&named, "content-type"), "text/plain; charset=utf-8");
    assert_eq!(text(named), "404 Not Found\n");

    let given = json!({"modify_response_body": 1, "response_body": "{}", "content_type": "application/json"});
    let given = answer(given);
    assert_eq!((given.status().as_u16(), header(&given, "content-type")), (200, "application/json"));
    assert_eq!(text(given), "{}");

    let empty = answer(json!({"status_code": 204}));
    assert_eq!(header(&empty, "content-length"), "");
    assert_eq!(text(empty), "");
    assert!(refused("status_code", json!({"status_code": 99})).contains("200 to 599"));
    assert!(refused("status_code", json!({"modify_response_body": 2})).contains("0 or 1"));
}

#[test]
fn litmus_bodies_are_compressed_as_asked() {
    for coding in ["gzip", "deflate"] {
        let attributes = json!({"body": "hello", "content_encoding": coding});
        let mut answer = Bench::new("modify_body", attributes).answering(real).get();
        assert_eq!(
            (header(&answer, "content-encoding"), header(&answer, "content-type")),
            (coding, "text/x-real")
        );
        let frame = answer.body_mut().next().now_or_never().unwrap().unwrap().unwrap();
        let (data, mut plain) = (frame.into_data().unwrap(), String::new());
        match coding {
            "gzip" => flate2::read::GzDecoder::new(&data[..]).read_to_string(&mut plain).unwrap(),
            _ => flate2::read::ZlibDecoder::new(&data[..]).read_to_string(&mut plain).unwrap(),
        };
        assert_eq!(plain, "hello");
    }
}

#[test]
fn litmus_headers_are_set_on_either_side() {
    let bench = Bench::new("header", json!({"headers": {"content-type": "a/b", "x-n": 5}})).answering(real);
    let answer = bench.get();
    assert_eq!((header(&answer, "content-type"), header(&answer, "x-n")), ("a/b", "5"));
    assert!(!bench.seen().unwrap().contains_key("x-n"));

    let bench = Bench::new("header", json!({"mode": "request", "headers": "{\"x-n\": \"5\"}"}));
    assert_eq!(header(&bench.get(), "x-n"), "");
    assert_eq!(bench.seen().unwrap()["x-n"], "5");
    assert_eq!(bench.acted(), 1);
    assert!(refused("header", json!({"headers": "x-n: 5"})).contains("holds no object"));
    assert!(refused("header", json!({"headers": {"Content-Length": 5}})).contains("leave it out"));
}
