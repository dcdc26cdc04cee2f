//! The headers of Envoy's fault filter.

use sabot_toxics::Time;
use sabot_toxics::http::{Body, Response};
use serde_json::{Value, json};

use super::bench::{Bench, End, header};
use crate::support::at_ms;

#[test]
fn envoy_headers_ask_for_faults_up_to_the_caps() {
    let ask = |attributes: Value, headers: &[(&str, &str)]| {
        let bench = Bench::new("envoy_fault", attributes);
        let answer = bench.send("/", headers).unwrap();
        let seen = bench.seen().map(|headers| headers.len());
        (answer.status().as_u16(), bench.now(), seen, bench.acted())
    };
    let (delay, abort) = ("x-envoy-fault-delay-request", "x-envoy-fault-abort-request");
    let (delay_share, abort_share) =
        ("x-envoy-fault-delay-request-percentage", "x-envoy-fault-abort-request-percentage");
    let passed = (200, Time::ZERO, Some(0), 0);
    assert_eq!(ask(json!({}), &[]), passed);
    assert_eq!(ask(json!({}), &[(delay, "30")]), (200, at_ms(30.0), Some(0), 1));
    assert_eq!(ask(json!({"max_delay": 10}), &[(delay, "30")]), (200, at_ms(10.0), Some(0), 1));
    assert_eq!(ask(json!({}), &[(delay, "30"), (delay_share, "0")]), passed);
    assert_eq!(ask(json!({"max_delay_percentage": 0}), &[(delay, "30"), (delay_share, "100")]), passed);
    assert_eq!(ask(json!({"max_delay_percentage": 0}), &[(delay, "30")]), passed);
    for garbage in ["", "-1", "1e3", "99999999999999999999999", "soon"] {
        assert_eq!(ask(json!({}), &[(delay, garbage), (abort, garbage)]), passed, "{garbage:?}");
    }
    assert_eq!(ask(json!({}), &[(delay, "30"), (delay_share, "x")]), (200, at_ms(30.0), Some(0), 1));
    assert_eq!(ask(json!({}), &[(delay, "30"), (abort, "418")]), (418, at_ms(30.0), None, 1));
    assert_eq!(ask(json!({}), &[(abort, "418"), (abort_share, "0")]), passed);
    assert_eq!(ask(json!({}), &[(abort, "199")]), passed);
    assert_eq!(ask(json!({"aborts": false}), &[(abort, "503")]), passed);
}

#[test]
fn envoy_aborts_speak_grpc() {
    let grpc = ("content-type", "application/grpc+proto");
    let ask = |headers: &[(&str, &str)]| {
        let answer = Bench::new("envoy_fault", json!({})).send("/a.B/C", headers).unwrap();
        (answer.status().as_u16(), header(&answer, "grpc-status").to_owned())
    };
    let (http, status) = ("x-envoy-fault-abort-request", "x-envoy-fault-abort-grpc-request");
    assert_eq!(ask(&[grpc, (status, "8")]), (200, "8".to_owned()));
    assert_eq!(ask(&[grpc, (status, "4294967295")]), (200, "4294967295".to_owned()));
    assert_eq!(ask(&[grpc, (http, "404"), (status, "8")]), (200, "12".to_owned()));
    assert_eq!(ask(&[(http, "404"), (status, "8")]), (404, String::new()));
    assert_eq!(ask(&[(status, "8")]), (200, "8".to_owned()));
}

#[test]
fn envoy_shares_are_shares() {
    let bench = Bench::new("envoy_fault", json!({"max_abort_percentage": 30}));
    let headers = [("x-envoy-fault-abort-request", "503"), ("x-envoy-fault-abort-request-percentage", "90")];
    let aborted = (0..2000).filter(|_| bench.send("/", &headers).unwrap().status() == 503).count();
    assert!((530..670).contains(&aborted), "{aborted}");
}

#[test]
fn envoy_throughput_paces_the_body() {
    let bench =
        Bench::new("envoy_fault", json!({})).answering(|| Response::new(Body::full(vec![b'x'; 10_240])));
    let mut answer = bench.send("/", &[("x-envoy-fault-throughput-response", "100")]).unwrap();
    let (left, end) = bench.chunks(answer.body_mut());
    assert_eq!((left.concat().len(), end), (10_240, End::Whole));
    assert_eq!((bench.now(), bench.acted()), (at_ms(100.0), 1));
    assert!(left.iter().all(|chunk| chunk.len() <= 1024), "lumps of at most 10 ms");
}

#[test]
fn envoy_delays_end_with_the_toxic() {
    let bench = Bench::new("envoy_fault", json!({}));
    let world = bench.world.removed_at(5.0);
    let request = http::Request::get("/").header("x-envoy-fault-delay-request", "30000");
    let got = world.send(1, request.body(Body::empty()).unwrap()).unwrap();
    assert_eq!((got.status(), got.at), (200, at_ms(5.0)));
}
