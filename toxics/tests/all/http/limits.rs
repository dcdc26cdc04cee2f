//! Requests at a rate, and so many at a time.

use serde_json::json;

use super::bench::{Bench, End, header, refused, text};
use super::world::{World, get};
use crate::support::{MS, at_ms, plan, toxic};

#[test]
fn a_rate_limit_is_a_bucket() {
    let bench = Bench::new("http_rate_limit", json!({"rate": 2, "burst": 3}));
    assert_eq!([(); 5].map(|()| bench.status()), [200, 200, 200, 429, 429]);
    assert_eq!(bench.acted(), 2);
    let refusal = bench.get();
    assert_eq!(header(&refusal, "retry-after"), "1");
    bench.seen();
    assert_eq!(text(refusal), "too many requests\n");
    assert!(bench.seen().is_none(), "a refused request does not go up");
    // Half a second brings one token back, and a long pause no more than the burst.
    bench.pass(499 * MS);
    assert_eq!(bench.status(), 429);
    bench.pass(MS);
    assert_eq!([(); 2].map(|()| bench.status()), [200, 429]);
    bench.pass(3600 * 1000 * MS);
    assert_eq!([(); 4].map(|()| bench.status()), [200, 200, 200, 429]);
}

#[test]
fn retry_after_says_when_it_works_again() {
    let bench = Bench::new("http_rate_limit", json!({"rate": 1, "per": "1m", "status": 503}));
    assert_eq!(bench.status(), 200);
    bench.pass(14_500 * MS);
    let refusal = bench.get();
    assert_eq!((refusal.status().as_u16(), header(&refusal, "retry-after")), (503, "46"));
    bench.pass(46_000 * MS);
    assert_eq!(bench.status(), 200);
}

#[test]
fn keys_have_buckets_of_their_own() {
    let bench = Bench::new("http_rate_limit", json!({"rate": 1, "key": "header:x-user"}));
    let user = |name: &str| bench.send("/", &[("x-user", name)]).unwrap().status().as_u16();
    assert_eq!([user("a"), user("b"), user("a"), user("b")], [200, 200, 429, 429]);

    let bench = Bench::new("http_rate_limit", json!({"rate": 1, "key": "path"}));
    let path = |path: &str| bench.send(path, &[]).unwrap().status().as_u16();
    assert_eq!([path("/a"), path("/b?x=1"), path("/a?y"), path("/b")], [200, 200, 429, 429]);

    let mut bench = Bench::new("http_rate_limit", json!({"rate": 1, "key": "client"}));
    let mut client = |address| {
        bench.client(address);
        bench.status()
    };
    assert_eq!([client("127.0.0.1"), client("::1"), client("127.0.0.1")], [200, 200, 429]);
}

#[test]
fn the_oldest_keys_are_forgotten() {
    let bench = Bench::new("http_rate_limit", json!({"rate": 1, "per": "1h", "key": "path"}));
    let path = |number: u32| bench.send(&format!("/{number}"), &[]).unwrap().status().as_u16();
    assert!((0..10_000).all(|number| path(number) == 200));
    assert_eq!(path(0), 429, "it is known, and used again just now");
    assert_eq!(path(10_000), 200, "takes the place of the oldest");
    assert_eq!([path(0), path(1), path(3)], [429, 200, 429]);
}

#[test]
fn a_new_rate_counts_anew_and_the_old_one_goes_on() {
    let mut bench = Bench::new("http_rate_limit", json!({"rate": 1}));
    assert_eq!([bench.status(), bench.status()], [200, 429]);
    bench.update(json!({"status": 420}));
    assert_eq!(bench.status(), 420);
    bench.update(json!({"rate": 2}));
    assert_eq!([(); 3].map(|()| bench.status()), [200, 200, 420]);
    assert!(
        refused("http_rate_limit", json!({"rate": 0})).starts_with("attributes.rate: must be at least 1")
    );
    assert!(refused("http_rate_limit", json!({"per": 0})).starts_with("attributes.per: "));
    assert!(refused("http_rate_limit", json!({"key": "user"})).contains("header:NAME"));
}

#[test]
fn grpc_calls_are_refused_as_grpc() {
    let bench = Bench::new("http_concurrency", json!({"limit": 0}));
    let refusal = bench.send("/a.B/C", &[("content-type", "application/grpc")]).unwrap();
    assert_eq!((refusal.status().as_u16(), header(&refusal, "grpc-status")), (200, "14"));
}

#[test]
fn a_seat_is_free_when_the_body_has_ended_or_was_dropped() {
    let mut bench = Bench::new("http_concurrency", json!({"limit": 2, "retry_after": "1.5s"}));
    let (mut first, second) = (bench.get(), bench.get());
    let refusal = bench.get();
    assert_eq!((refusal.status().as_u16(), header(&refusal, "retry-after")), (503, "2"));
    assert_eq!(bench.acted(), 1);
    // A refused request holds nothing.
    drop(refusal);
    assert_eq!(bench.status(), 503);
    drop(second);
    let third = bench.get();
    assert_eq!(third.status(), 200);
    assert_eq!(bench.status(), 503);
    assert_eq!(bench.chunks(first.body_mut()).1, End::Whole);
    assert_eq!(bench.status(), 200, "the first has ended, though it is still there");
    bench.update(json!({"limit": 1}));
    assert_eq!(bench.status(), 503, "the third still counts");
}

#[test]
fn faults_beyond_the_cap_do_not_act() {
    let plan =
        || plan([toxic("http_status", json!({"status": 500})), toxic("http_delay", json!({"delay": 5}))]);
    let world = World::new(plan()).capped(2);
    let ask = |number| world.ask(number, get("/")).unwrap();
    let (first, mut second) = (ask(1), ask(2));
    assert_eq!((world.acted().len(), world.now()), (4, at_ms(10.0)));
    let third = ask(3);
    assert_eq!(third.status(), 200, "there is no room, so it passes");
    assert_eq!((world.acted().len(), world.now()), (4, at_ms(10.0)));
    drop(first);
    assert_eq!(ask(4).status(), 500, "one was dropped, and this one too");
    while world.run(second.body_mut().next()).is_some() {}
    let (fifth, sixth) = (ask(5), ask(6));
    assert_eq!([fifth.status(), sixth.status()].map(|status| status.as_u16()), [500, 500]);
    assert_eq!(ask(7).status(), 200);

    // Those that are picked by the answer take room when it has come.
    let picked = toxic("http_status", json!({"status": 500, "match": {"status": 200}}));
    let world = World::new(crate::support::plan([picked])).capped(1);
    let held = world.ask(1, get("/")).unwrap();
    assert_eq!(world.ask(2, get("/")).unwrap().status(), 200);
    drop(held);
    assert_eq!(world.ask(3, get("/")).unwrap().status(), 500);
}
