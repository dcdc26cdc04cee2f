//! Which requests a fault takes: shares, sticky values, counts, statuses.

use std::sync::Arc;

use sabot_toxics::http::{Body, Request};
use sabot_toxics::{Entry, Plan, Time};
use serde_json::{Value, json};

use super::world::{World, answer, get};
use crate::support::{plan, spec};

/// A world with one `http_abort` as the API would read it.
fn aborting(json: Value) -> World {
    let mut toxic = json!({"type": "http_abort"});
    toxic.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
    World::new(plan([spec(toxic)]))
}

fn aborted(world: &World, number: u64, request: Request) -> bool {
    world.send(number, request).unwrap().status() == 503
}

#[test]
fn a_share_is_what_was_asked_for_and_the_same_for_equal_seeds() {
    const REQUESTS: u64 = 100_000;
    let run = |seed| {
        let world = aborting(json!({"toxicity": 0.2})).seeded(seed);
        (1..=REQUESTS).map(|number| aborted(&world, number, get("/"))).collect::<Vec<_>>()
    };
    let first = run(7);
    let share = first.iter().filter(|aborted| **aborted).count() as f64 / REQUESTS as f64;
    // 99 % of all binomial shares lie within 2.576 standard deviations.
    let allowed = 2.576 * (0.2 * 0.8 / REQUESTS as f64).sqrt();
    assert!((share - 0.2).abs() <= allowed, "{share}");
    assert_eq!(run(7), first);
    assert_ne!(run(8), first);
}

#[test]
fn a_draw_belongs_to_the_number_and_not_to_the_order() {
    let forward = aborting(json!({"toxicity": 0.5}));
    let backward = aborting(json!({"toxicity": 0.5}));
    let mut late: Vec<_> = (1..=500).rev().map(|number| aborted(&backward, number, get("/"))).collect();
    late.reverse();
    assert_eq!((1..=500).map(|number| aborted(&forward, number, get("/"))).collect::<Vec<_>>(), late);
}

#[test]
fn an_injected_fault_of_the_same_name_draws_apart() {
    let toxic = |status: u16| {
        let attributes = json!({"status": status});
        let spec = spec(json!({"type": "http_abort", "toxicity": 0.5, "attributes": attributes}));
        Entry::new(spec, u64::from(status), Time::ZERO, 1).unwrap()
    };
    let run = |entries: Vec<Entry>| {
        let world = World::new(Plan::new(entries.into_iter().map(Arc::new).collect()));
        (1..=500).map(|number| world.send(number, get("/")).unwrap().status()).collect::<Vec<_>>()
    };
    let alone = run(vec![toxic(503)]);
    // The first of two that answer wins.
    let beside = run(vec![toxic(503), toxic(418).owned_by("i-1")]);
    let drawn = |statuses: &[u16]| statuses.iter().map(|status| *status == 503).collect::<Vec<_>>();
    assert_eq!(drawn(&beside), drawn(&alone), "an injection moves no draw of a toxic");
    // With the same draws it would never have its turn.
    assert!(beside.iter().filter(|status| **status == 418).count() > 60);
    let of = |id| run(vec![toxic(418).owned_by(id)]);
    assert_eq!(of("i-1"), of("i-2"));
}

#[test]
fn a_sticky_share_is_always_in_or_always_out() {
    let cases = [("header:x-user", "x-user", ""), ("cookie:user", "cookie", "theme=dark; user=")];
    for (sticky, header, before) in cases {
        let world = aborting(json!({"toxicity": 0.3, "attributes": {"match": {"sticky": sticky}}}));
        let of = |user: u64| {
            let request = http::Request::get("/").header(header, format!("{before}{user}"));
            request.body(Body::empty()).unwrap()
        };
        let mut number = 0;
        let mut ask = |user| {
            number += 1;
            aborted(&world, number, of(user))
        };
        let users: Vec<_> = (0..1000).map(&mut ask).collect();
        for _ in 0..3 {
            assert_eq!((0..1000).map(&mut ask).collect::<Vec<_>>(), users, "{sticky}");
        }
        let share = users.iter().filter(|aborted| **aborted).count();
        assert!((250..350).contains(&share), "{sticky}: {share}");
        assert!((5000..5100).all(|number| !aborted(&world, number, get("/"))), "without a value it is out");
    }
}

#[test]
fn the_first_and_every_nth_count_only_those_that_match() {
    let run = |when: Value| {
        let world = aborting(json!({"when": when, "attributes": {"match": {"path": "/charge"}}}));
        let mut hit = Vec::new();
        for number in 1..=9 {
            assert!(!aborted(&world, 100 + number, get("/other")));
            if aborted(&world, number, get("/charge")) {
                hit.push(number);
            }
        }
        hit
    };
    assert_eq!(run(json!({"first": 2})), [1, 2]);
    assert_eq!(run(json!({"every": 3})), [3, 6, 9]);
    assert_eq!(run(json!({"every": 2, "first": 5})), [2, 4]);
}

#[test]
fn a_status_is_matched_when_the_answer_has_come() {
    let given = |matcher: Value, first: bool| {
        let when = if first { json!({"first": 1}) } else { json!({}) };
        let attributes = json!({"status": 418, "match": {"status": matcher}});
        let world = aborting(json!({"attributes": attributes, "when": when}));
        world.answering(|up| {
            let mut response = answer();
            *response.status_mut() = up.head.uri.path()[1..].parse().unwrap();
            response
        })
    };
    let ask = |world: &World, status: u16| world.send(1, get(&format!("/{status}"))).unwrap().status();
    for (matcher, hit, missed) in [
        (json!(500), vec![500], vec![501, 200]),
        (json!("5xx"), vec![500, 599], vec![499, 200]),
        (json!(["500-503", 404]), vec![500, 503, 404], vec![504, 403]),
    ] {
        let world = given(matcher.clone(), false);
        assert!(hit.iter().all(|status| ask(&world, *status) == 418), "{matcher}");
        assert!(missed.iter().all(|status| ask(&world, *status) == *status), "{matcher}");
        assert_eq!(world.seen().len(), hit.len() + missed.len(), "all of them went up");
    }
    let world = given(json!("5xx"), true);
    assert_eq!([200, 500, 500].map(|status| ask(&world, status)), [200, 418, 500]);
}

#[test]
fn a_status_is_the_one_that_the_toxics_behind_have_left() {
    let status = json!({"type": "http_status", "attributes": {"status": 500}});
    let delay = |status: u16| {
        let attributes = json!({"delay": 20, "at": "response", "match": {"status": status}});
        json!({"type": "http_delay", "attributes": attributes})
    };
    let abort = json!({"type": "http_abort", "attributes": {"status": 500}});
    let before = json!({"type": "http_delay", "attributes": {"delay": 20}});
    for (toxics, waited) in [
        ([status.clone(), delay(200)], true),
        ([status.clone(), delay(500)], false),
        ([delay(500), status.clone()], true),
        ([delay(200), status], false),
        ([before.clone(), abort.clone()], true),
        ([abort, before], false),
    ] {
        let world = World::new(plan(toxics.clone().map(spec)));
        assert_eq!(world.send(1, get("/")).unwrap().status(), 500);
        assert_eq!(world.now() > crate::support::at_ms(0.0), waited, "{toxics:?}");
    }
}
