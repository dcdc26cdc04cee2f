//! Faults of HTTP requests, over a world of virtual time.
//!
//! [`ROWS`] has one row for each kind; what every kind must do is tested over it. What
//! one kind alone does stands in the modules, how requests are chosen in `chosen`.

mod acts;
mod bench;
mod bodies;
mod chosen;
mod envoy;
mod events;
mod limits;
mod litmus;
mod rates;
mod refused;
mod waits;
mod websocket;
mod world;

use sabot_toxics::http::GoAway;
use sabot_toxics::{Kind, Phase, Plan, ToxicSpec, kinds};
use serde_json::{Map, Value, json};

use crate::support::{at_ms, plan, spec, toxic};
use world::{Seen, World, get, post};

/// How a kind is tested with all others.
struct Row {
    kind: &'static str,
    /// Attributes under which it acts on `request`, or on its second one.
    acts: fn() -> Value,
    /// Attributes under which it does nothing to `request`.
    idle: Option<fn() -> Value>,
    /// Attributes under which it waits until it is removed, each for a way to wait.
    waits: fn() -> Vec<Value>,
    /// What is sent.
    request: fn() -> sabot_toxics::http::Request,
}

fn never() -> Vec<Value> {
    Vec::new()
}

fn charge() -> sabot_toxics::http::Request {
    post("/charge?id=7&debug")
}

/// One that asks for its own fault.
fn asking() -> sabot_toxics::http::Request {
    let mut request = page();
    request.headers_mut().insert("x-envoy-fault-delay-request", 20.into());
    request
}

/// One that asks for a WebSocket.
fn upgrade() -> sabot_toxics::http::Request {
    let mut request = page();
    request.headers_mut().insert("upgrade", "websocket".parse().unwrap());
    request
}

fn page() -> sabot_toxics::http::Request {
    get("/page")
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Its delay waits, but the headers that ask for it do not go up: `envoy` tests its end.
    Row { kind: "envoy_fault", acts: || json!({}), idle: None, waits: never, request: asking },
    Row { kind: "header", acts: || json!({"headers": {"x-a": "1"}}), idle: Some(|| json!({})), waits: never, request: charge },
    Row { kind: "http_abort", acts: || json!({"status": [503, 504], "headers": {"x-why": "test"}, "body": "no", "grpc_status": "UNAVAILABLE", "grpc_message": "gone"}), idle: None, waits: never, request: charge },
    Row { kind: "http_body", acts: || json!({"merge": {"ok": false}}), idle: Some(|| json!({"merge": {"ok": true}, "edits": {"/no/such": 1}})), waits: never, request: charge },
    Row { kind: "http_concurrency", acts: || json!({"limit": 0}), idle: Some(|| json!({"limit": 1})), waits: never, request: charge },
    Row { kind: "http_delay", acts: || json!({"delay": 20, "jitter": 2}), idle: None, waits: || vec![json!({"delay": 1000}), json!({"delay": 1000, "at": "response"}), json!({"delay": 1000, "at": "chunks"})], request: charge },
    Row { kind: "http_duplicate", acts: || json!({"copies": 2}), idle: None, waits: never, request: charge },
    Row { kind: "http_goaway", acts: || json!({"after": 2}), idle: Some(|| json!({"after": 3})), waits: never, request: charge },
    Row { kind: "http_hang", acts: || json!({"at": "body", "after": 3}), idle: Some(|| json!({"at": "body", "after": 1000})), waits: || vec![json!({}), json!({"at": "head"}), json!({"at": "body", "after": 3})], request: charge },
    Row { kind: "http_headers", acts: || json!({"side": "request", "set": {"x-a": "1"}, "add": {"x-trace": "3"}, "remove": ["content-type"]}), idle: Some(|| json!({"remove": ["x-none"]})), waits: never, request: charge },
    Row { kind: "http_rate_limit", acts: || json!({"rate": 1}), idle: Some(|| json!({"rate": 2})), waits: never, request: charge },
    Row { kind: "http_reset", acts: || json!({"at": "body", "after": 3, "code": "REFUSED_STREAM"}), idle: Some(|| json!({"at": "body", "after": 1000})), waits: never, request: charge },
    Row { kind: "http_rewrite", acts: || json!({"method": "PUT", "strip_prefix": "/charge", "add_prefix": "/v2", "set_query": {"a b": "c&d"}, "remove_query": ["debug"]}), idle: Some(|| json!({"strip_prefix": "/other"})), waits: never, request: charge },
    Row { kind: "http_stale", acts: || json!({"age": false}), idle: None, waits: never, request: page },
    Row { kind: "http_status", acts: || json!({"status": [500, 502]}), idle: Some(|| json!({"status": 200})), waits: never, request: charge },
    Row { kind: "http_stream", acts: || json!({"delay": 20}), idle: Some(|| json!({})), waits: || vec![json!({"delay": 1000}), json!({"then": "stall"})], request: charge },
    Row { kind: "http_throttle", acts: || json!({"rate": "100B/s"}), idle: None, waits: || vec![json!({}), json!({"rate": "1B/s"}), json!({"rate": 0, "side": "request"}), json!({"rate": "1B/s", "side": "request"})], request: charge },
    Row { kind: "http_truncate", acts: || json!({"bytes": 3}), idle: Some(|| json!({"bytes": 1000})), waits: never, request: charge },
    Row { kind: "modify_body", acts: || json!({"body": "x"}), idle: None, waits: never, request: charge },
    Row { kind: "status_code", acts: || json!({"status_code": 503}), idle: Some(|| json!({})), waits: never, request: charge },
    Row { kind: "websocket", acts: || json!({"delay": 20}), idle: Some(|| json!({})), waits: || vec![json!({"delay": 1000})], request: upgrade },
];

fn one(kind: &str, attributes: Value) -> Plan {
    plan([toxic(kind, attributes)])
}

fn http_kinds() -> impl Iterator<Item = &'static Kind> {
    kinds().iter().filter(|kind| kind.phase == Phase::Http)
}

/// Everything that one side saw of a message, times aside.
fn content<Head: std::fmt::Debug>(seen: &Seen<Head>) -> String {
    format!("{:?} {:?} {:?} {:?}", seen.head, seen.body(), seen.trailers, seen.broke)
}

/// Sends the row's request, and says what both sides saw.
fn exchange(world: &World, row: &Row) -> Vec<String> {
    let got = world.send(1, (row.request)());
    let mut all: Vec<_> = world.seen().iter().map(content).collect();
    all.push(got.as_ref().map_or_else(ToString::to_string, content));
    // What the shell is asked to do is a change too.
    let goodbye = got.ok().and_then(|mut got| got.head.extensions.remove::<GoAway>());
    all.extend(goodbye.map(|goodbye| format!("{goodbye:?}")));
    all
}

#[test]
fn every_kind_has_a_row() {
    let rows: Vec<_> = ROWS.iter().map(|row| row.kind).collect();
    assert_eq!(rows, http_kinds().map(|kind| kind.name).collect::<Vec<_>>());
}

#[test]
fn attributes_survive_a_round_trip_and_are_in_the_schema() {
    for row in ROWS {
        let kind = sabot_toxics::kind(row.kind).unwrap();
        for attributes in (row.waits)().into_iter().chain([json!({}), (row.acts)()]) {
            let given = attributes.as_object().unwrap();
            let complete = kind.parse(given).unwrap().attributes();
            assert_eq!(kind.parse(&complete).unwrap().attributes(), complete, "{}", row.kind);
            for name in complete.keys().chain(given.keys()) {
                let property = &kind.schema()["properties"][name];
                assert!(property["description"].is_string(), "{}.{name}: {property}", row.kind);
            }
            let text = serde_json::to_string(&toxic(row.kind, attributes.clone())).unwrap();
            assert_eq!(serde_json::from_str::<ToxicSpec>(&text).unwrap(), toxic(row.kind, attributes));
        }
        assert!(kind.schema()["properties"]["match"]["properties"]["path"].is_object(), "{}", row.kind);
    }
}

#[test]
fn what_is_unknown_is_refused_by_name() {
    for kind in http_kinds() {
        for (attributes, field) in
            [(json!({"nonsense": 1}), "nonsense"), (json!({"match": {"pth": "/"}}), "match.pth")]
        {
            let Value::Object(map) = attributes else { unreachable!() };
            assert_eq!(kind.parse(&map).err().unwrap().field, field, "{}", kind.name);
        }
    }
}

#[test]
fn every_kind_acts_and_says_so_once_for_a_request() {
    for row in ROWS {
        let world = World::new(one(row.kind, (row.acts)())).removed_at(5000.0);
        let plain = exchange(&World::new(Plan::empty()), row);
        let before = world.now();
        exchange(&world, row);
        let first = world.acted().len();
        assert!(first <= 1, "{}", row.kind);
        let changed = exchange(&world, row) != plain || world.now() > before;
        assert_eq!(world.acted().len(), first + 1, "{}", row.kind);
        assert!(changed, "{} changed nothing", row.kind);
    }
}

#[test]
fn a_request_that_is_not_acted_on_passes_as_it_is() {
    for row in ROWS {
        let plain = exchange(&World::new(Plan::empty()), row);
        let object = |attributes: Value| -> Map<String, Value> { attributes.as_object().unwrap().clone() };
        let mut cases = Vec::new();
        for matcher in [json!({"path": "/other"}), json!({"status": "5xx"})] {
            let mut attributes = object((row.acts)());
            attributes.insert("match".to_owned(), matcher);
            let case = json!({"type": row.kind, "attributes": attributes});
            match serde_json::from_value(case) {
                Ok(case) => cases.push(case),
                Err(error) => assert!(error.to_string().contains("match.status: is "), "{error}"),
            }
        }
        let attributes = json!({"type": row.kind, "attributes": (row.acts)(), "toxicity": 0});
        cases.push(spec(attributes));
        cases.extend(row.idle.map(|idle| spec(json!({"type": row.kind, "attributes": idle()}))));
        for toxic in cases {
            let case = serde_json::to_string(&toxic).unwrap();
            let world = World::new(plan([toxic]));
            for _ in 0..2 {
                assert_eq!(exchange(&world, row), plain, "{case}");
            }
            assert!(world.acted().is_empty() && world.now() == at_ms(0.0), "{case}");
        }
    }
}

type Given = fn() -> Value;

/// Ways to act on a body that comes down, beside those of the rows.
#[rustfmt::skip]
const AROUND: &[(&str, Given)] = &[
    ("http_body", || json!({"corrupt": 1})),
    ("http_body", || json!({"replace": "new"})),
    ("http_delay", || json!({"delay": 20, "at": "chunks"})),
    ("http_hang", || json!({"at": "head"})),
    ("http_hang", || json!({"at": "body"})),
    ("http_reset", || json!({"at": "head"})),
    ("http_reset", || json!({"at": "body"})),
    ("http_stream", || json!({"drop": 1})),
    ("http_stream", || json!({"then": "close"})),
    ("http_throttle", || json!({"rate": "1B/s"})),
    ("http_truncate", || json!({"bytes": 0})),
];

/// The error of a gRPC call: a head that is the end as well.
fn trailers_only() -> sabot_toxics::http::Response {
    let head = http::Response::builder().header("content-type", "application/grpc").header("grpc-status", 5);
    head.body(sabot_toxics::http::Body::empty()).unwrap()
}

#[test]
fn an_answer_that_is_complete_with_its_head_stays_so() {
    let puts_in_a_body = ["modify_body"];
    let rows = ROWS.iter().filter(|row| !puts_in_a_body.contains(&row.kind));
    let cases = rows.map(|row| (row.kind, row.acts)).chain(AROUND.iter().copied());
    for (kind, attributes) in cases {
        let mut call = post("/shop.Cart/Add");
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let world = World::new(one(kind, attributes())).answering(|_| trailers_only());
        let got = world.send(1, call).unwrap();
        assert!(got.bare, "{kind} {} put something behind the head", attributes());
    }
    for (kind, attributes) in AROUND {
        let world = World::new(one(kind, attributes())).answering(|_| trailers_only());
        world.send(1, post("/shop.Cart/Add")).unwrap();
        assert!(world.acted().is_empty(), "{kind} {} says it acted", attributes());
    }
}

#[test]
fn a_status_without_a_body_is_no_place_to_stop() {
    for status in [204, 304] {
        for kind in ["http_hang", "http_reset"] {
            let world = World::new(one(kind, json!({"at": "head"}))).answering(move |_| {
                // One that says nothing of its end, as HTTP/2 has them.
                let mut answer = http::Response::new(world::chunked(&[]));
                *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
                answer
            });
            let got = world.send(1, page()).unwrap();
            assert_eq!((got.status(), got.broke), (status, None), "{kind}");
            assert!(world.acted().is_empty(), "{kind}");
        }
    }
}

#[test]
fn removal_ends_every_wait_at_once() {
    for row in ROWS {
        let plain = exchange(&World::new(Plan::empty()), row);
        for attributes in (row.waits)() {
            let case = format!("{} {attributes}", row.kind);
            let world = World::new(one(row.kind, attributes)).removed_at(5.0);
            assert_eq!(exchange(&world, row), plain, "{case}: what waited goes on");
            assert_eq!(world.now(), at_ms(5.0), "{case}");
            assert_eq!(world.acted().len(), 1, "{case}");
        }
    }
}
