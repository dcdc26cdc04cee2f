//! Kinds that read bodies whole: `http_body`, `http_duplicate`, `http_stale`.

use http::{HeaderMap, Request};
use sabot_toxics::http::body::Whole;
use sabot_toxics::http::{Body, Dialled, GoAway, Response};
use serde_json::{Value, json};

use super::one;
use super::world::{World, answer, get, json_answer, post};
use crate::support::{MS, at_ms, plan, toxic};

const MIB: usize = 1 << 20;

/// The text and length of an answer to which `attributes` were done, and whether they acted.
fn changed(
    attributes: Value,
    given: impl Fn() -> Response + Send + Sync + 'static,
) -> (String, Option<String>, bool) {
    let world = World::new(one("http_body", attributes)).answering(move |_| given());
    let got = world.send(1, get("/")).unwrap();
    (got.text(), got.header("content-length").map(str::to_owned), !world.acted().is_empty())
}

#[test]
fn a_body_is_replaced_or_edited_and_its_length_corrected() {
    let text = r#"{"b":1,"a":[1,2],"c":{"d":"e"}}"#;
    let cases = [
        (json!({"replace": "no"}), "no"),
        (json!({"replace": ""}), ""),
        (json!({"merge": {"b": null, "c": {"f": 2}}}), r#"{"a":[1,2],"c":{"d":"e","f":2}}"#),
        (json!({"edits": {"/a/0": 9, "/c": null}}), r#"{"b":1,"a":[9,2]}"#),
        (json!({"merge": {"a": []}, "edits": {"/a/-": "x"}}), r#"{"b":1,"a":["x"],"c":{"d":"e"}}"#),
    ];
    for (attributes, result) in cases {
        let expected = (result.to_owned(), Some(result.len().to_string()), true);
        assert_eq!(changed(attributes.clone(), move || json_answer(text)), expected, "{attributes}");
    }
}

#[test]
fn edits_leave_alone_what_they_cannot_read_and_replace_does_not() {
    let with = |name: &'static str, value: &'static str, body: &str| {
        let mut response = json_answer(body);
        response.headers_mut().insert(name, value.parse().unwrap());
        response
    };
    let long = format!("[\"{}\"]", "x".repeat(MIB));
    let unreadable: Vec<Box<dyn Fn() -> Response + Send + Sync>> = vec![
        Box::new(move || with("content-encoding", "gzip", r#"{"a":1}"#)),
        Box::new(move || with("content-type", "text/event-stream", r#"{"a":1}"#)),
        Box::new(move || json_answer("no json")),
        Box::new(move || json_answer(&long)),
    ];
    for given in unreadable {
        let given = std::sync::Arc::new(given);
        let (plain, again) = (World::new(plan([])), given.clone());
        let plain = plain.answering(move |_| again()).send(1, get("/")).unwrap().text();
        let again = given.clone();
        let (text, _, acted) = changed(json!({"merge": {"a": 2}}), move || again());
        assert!(text == plain && !acted);
        let world = World::new(one("http_body", json!({"replace": "new"}))).answering(move |_| given());
        let got = world.send(1, get("/")).unwrap();
        assert_eq!((got.text().as_str(), got.header("content-encoding")), ("new", None));
    }
    let longest = format!("[\"{}\"]", "x".repeat(MIB - 4));
    assert!(changed(json!({"edits": {"/0": 1}}), move || json_answer(&longest)).2);
}

#[test]
fn a_request_body_is_edited_and_its_trailers_stay() {
    let world = World::new(one("http_body", json!({"side": "request", "edits": {"/amount": 1}})));
    world.send(1, post("/charge")).unwrap();
    let up = world.seen().remove(0);
    assert_eq!(up.text(), r#"{"amount":1,"items":["a","b"]}"#);
    assert_eq!(up.head.headers["content-length"], "30");

    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "7".parse().unwrap())]);
    let body =
        Body::from(Whole { data: b"{\"amount\":2}".as_slice().into(), trailers: Some(trailers.clone()) });
    world.send(2, Request::post("/").body(body).unwrap()).unwrap();
    let up = world.seen().remove(0);
    assert_eq!((up.text().as_str(), up.trailers), (r#"{"amount":1}"#, Some(trailers)));
    assert!(!up.head.headers.contains_key("content-length"), "none came");

    world.send(3, get("/")).unwrap();
    assert!(world.seen()[0].body().is_empty(), "what has no body gets none");
}

#[test]
fn a_body_that_is_waited_for_is_let_go_when_the_toxic_is_removed() {
    for (kind, attributes) in
        [("http_body", json!({"side": "request", "merge": {"a": 1}})), ("http_duplicate", json!({}))]
    {
        let world = World::new(one(kind, attributes)).removed_at(1500.0);
        let body = world.slow(&[b"{\"a\"", b":2}"], 1000 * MS);
        world.send(1, Request::post("/").body(body).unwrap()).unwrap();
        let seen = world.seen();
        assert_eq!((seen.len(), seen[0].at, seen[0].ended), (1, at_ms(1500.0), at_ms(2000.0)), "{kind}");
        assert_eq!(seen[0].text(), r#"{"a":2}"#, "{kind}");
        assert!(world.acted().is_empty(), "{kind}");
    }
}

#[test]
fn corruption_hits_its_share_wherever_chunks_end() {
    let run = |cut: usize| {
        let body = vec![0u8; 200_000];
        let world = World::new(one("http_body", json!({"corrupt": 0.01}))).answering(move |_| {
            let chunks: Vec<_> = body.chunks(cut).collect();
            Response::new(super::world::chunked(&chunks))
        });
        world.send(1, get("/")).unwrap().body()
    };
    let whole = run(200_000);
    let hits = whole.iter().filter(|byte| **byte != 0).count();
    assert!((1800..2200).contains(&hits), "{hits}");
    assert!(whole.iter().all(|byte| byte.count_ones() <= 1));
    assert_eq!(run(777), whole);
}

#[test]
fn copies_go_up_after_the_first_answer_and_the_client_gets_that() {
    let world = World::new(plan([
        toxic("http_duplicate", json!({"copies": 3})),
        toxic("http_delay", json!({"delay": 10})),
    ]));
    let got = world.send(1, post("/charge")).unwrap();
    let seen = world.seen();
    assert_eq!(seen.iter().map(|up| up.at).collect::<Vec<_>>(), [10.0, 20.0, 30.0, 40.0].map(at_ms));
    assert!(seen.iter().all(|up| up.head.headers == seen[0].head.headers && up.body() == seen[0].body()));
    assert_eq!((got.at, got.text().as_str()), (at_ms(40.0), r#"{"ok":true,"sum":12}"#));

    let long = Request::post("/").body(Body::full(vec![0; MIB + 1])).unwrap();
    world.send(2, long).unwrap();
    let seen = world.seen();
    assert_eq!((seen.len(), seen[0].body().len()), (1, MIB + 1));

    let copies = serde_json::Map::from_iter([("copies".to_owned(), json!(11))]);
    assert!(sabot_toxics::kind("http_duplicate").unwrap().parse(&copies).is_err());
}

#[test]
fn a_copy_that_hangs_holds_the_client_no_longer_than_ten_seconds_or_the_toxic() {
    let hanging = || {
        plan([
            toxic("http_duplicate", json!({"copies": 2})),
            toxic("http_hang", json!({"at": "body", "after": 3})),
        ])
    };
    let world = World::new(hanging()).removed_at(30_000.0);
    assert_eq!(world.send(1, get("/")).unwrap().at, at_ms(20_000.0));
    let world = World::new(hanging()).removed_at(4000.0);
    assert_eq!(world.send(1, get("/")).unwrap().at, at_ms(4000.0));
    assert_eq!(world.seen().len(), 2, "no more copies");
}

#[test]
fn a_stale_answer_is_the_first_one_with_its_age() {
    let world =
        World::new(plan([toxic("http_stale", json!({})), toxic("http_delay", json!({"delay": 3000}))]));
    let world = world.answering(|up| json_answer(&format!("{:?}", up.at)));
    let ask = |number, target| {
        let got = world.send(number, get(target)).unwrap();
        (got.text(), got.header("age").map(str::to_owned))
    };
    let first = ask(1, "/a");
    assert_eq!(first.1, None);
    assert_ne!(ask(2, "/b").0, first.0);
    assert_eq!(ask(3, "/a"), (first.0, Some("3".to_owned())));
    assert_eq!(world.seen().len(), 2, "the third never went up");
    world.send(4, post("/a")).unwrap();
    let range = Request::get("/a").header("host", "shop.test").header("range", "bytes=0-1");
    world.send(5, range.body(Body::empty()).unwrap()).unwrap();
    world.send(6, Request::get("/a").header("host", "other.test").body(Body::empty()).unwrap()).unwrap();
    assert_eq!(world.seen().len(), 3);
}

#[test]
fn head_gets_the_head_of_what_get_got() {
    let world = World::new(one("http_stale", json!({"age": false})));
    let head = |number, target| {
        let request = Request::head(target).header("host", "shop.test").body(Body::empty()).unwrap();
        world.send(number, request).unwrap()
    };
    let got = world.send(1, get("/a")).unwrap();
    let again = head(2, "/a");
    assert_eq!((&again.head.headers, again.body()), (&got.head.headers, vec![]));
    assert_eq!(world.seen().len(), 1);
    // The other way round there is no body to give.
    head(3, "/b");
    assert!(!world.send(4, get("/b")).unwrap().body().is_empty());
    assert_eq!(world.seen().len(), 2);
}

#[test]
fn what_else_belongs_to_the_message_comes_again_and_the_rest_does_not() {
    #[derive(Clone, Debug, PartialEq)]
    struct Case(&'static str);
    let world = World::new(one("http_stale", json!({}))).answering(|_| {
        let mut answer = answer();
        answer.extensions_mut().insert(Case("X-Upper"));
        answer.extensions_mut().insert(GoAway(0));
        answer.extensions_mut().insert(Dialled(MS));
        answer
    });
    let first = world.send(1, get("/")).unwrap();
    let again = world.send(2, get("/")).unwrap();
    assert_eq!(again.head.extensions.get::<Case>(), Some(&Case("X-Upper")));
    assert!(first.head.extensions.get::<GoAway>().is_some());
    assert!(again.head.extensions.get::<GoAway>().is_none());
    assert!(again.head.extensions.get::<Dialled>().is_none());
}

#[test]
fn what_is_remembered_is_bounded() {
    let world = World::new(one("http_stale", json!({})));
    for number in 0..=1000 {
        world.send(number, get(&format!("/{number}"))).unwrap();
    }
    world.seen();
    world.send(2000, get("/1000")).unwrap();
    assert!(world.seen().is_empty());
    world.send(2001, get("/0")).unwrap();
    assert_eq!(world.seen().len(), 1, "the oldest was forgotten");

    for (length, kept) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let world = World::new(one("http_stale", json!({})))
            .answering(move |_| answer().map(|_| Body::full(vec![b'x'; length])));
        assert_eq!(world.send(1, get("/")).unwrap().body().len(), length);
        assert_eq!(world.send(2, get("/")).unwrap().body().len(), length);
        assert_eq!(world.seen().len(), if kept { 1 } else { 2 });
    }
    let failing = World::new(one("http_stale", json!({}))).answering(|_| {
        let mut response = answer();
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        response
    });
    for number in 1..3 {
        failing.send(number, get("/")).unwrap();
    }
    assert_eq!(failing.seen().len(), 2, "only what is fine is remembered");
}
