//! Where requests wait, for how long, and what is done meanwhile.

use sabot_toxics::http::Dialled;
use serde_json::json;

use super::one;
use super::world::{World, answer, chunked, get, post};
use crate::support::{MS, at_ms, plan, toxic};

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
