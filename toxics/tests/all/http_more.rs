//! Limits, event streams, and the HTTP faults of Litmus and Envoy.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Frame;
use sabot_toxics::http::{Answer, Body, BoxFuture, Chain, Fault, Request, RequestKey, Response, Shell};
use sabot_toxics::{Entry, Plan, Seed, Time};
use serde_json::{Value, json};

use crate::support::{MS, at_ms, plan, spec, updated};

/// Time that leaps to whatever is waited for.
#[derive(Default)]
struct World {
    now: AtomicU64,
    acted: AtomicU64,
    /// The toxic was taken back.
    over: AtomicBool,
}

impl Shell for World {
    fn now(&self) -> Time {
        Time::from_nanos(self.now.load(Ordering::SeqCst))
    }

    fn wait(&self, _: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()> {
        if self.over.load(Ordering::SeqCst) {
            return Box::pin(async {});
        }
        match until {
            Some(until) => {
                self.now.fetch_max(until.as_nanos(), Ordering::SeqCst);
                Box::pin(async {})
            }
            None => Box::pin(std::future::pending()),
        }
    }

    fn acted(&self, _: &Arc<Entry>) {
        self.acted.fetch_add(1, Ordering::SeqCst);
    }
}

/// A proxy with one toxic, and an upstream that answers as it is told.
struct Bench {
    world: Arc<World>,
    plan: Plan,
    number: u64,
    client: Option<&'static str>,
    upstream: Arc<dyn Fn(&Request) -> Response + Send + Sync>,
    /// The headers that went up last.
    seen: Arc<Mutex<Option<http::HeaderMap>>>,
}

impl Bench {
    fn new(kind: &str, attributes: Value) -> Self {
        Self {
            world: Arc::default(),
            plan: plan([spec(json!({"type": kind, "attributes": attributes}))]),
            number: 0,
            client: None,
            upstream: Arc::new(|_| Response::new(Body::full("real"))),
            seen: Arc::default(),
        }
    }

    fn answering(mut self, answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        self.upstream = Arc::new(answer);
        self
    }

    /// An upstream whose answers come in these chunks.
    fn chunked(self, content_type: &'static str, chunks: &'static [&'static str]) -> Self {
        self.answering(move |_| {
            let mut response = Response::new(Body::driven(chunks.iter(), |mut chunks| async move {
                let chunk = chunks.next()?;
                Some((Ok(Frame::data(Bytes::from_static(chunk.as_bytes()))), chunks))
            }));
            response.headers_mut().insert("content-type", content_type.parse().unwrap());
            response
        })
    }

    fn pass(&self, span: Duration) {
        self.world.now.fetch_add(span.as_nanos() as u64, Ordering::SeqCst);
    }

    fn now(&self) -> Time {
        self.world.now()
    }

    fn acted(&self) -> u64 {
        self.world.acted.load(Ordering::SeqCst)
    }

    fn send(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.number += 1;
        let mut request = http::Request::get(path).body(Body::empty()).unwrap();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let client = self.client.map(|client| client.parse().unwrap());
        let key = RequestKey { number: self.number, client, seed: Seed::new(7) };
        let shell: Arc<dyn Shell> = self.world.clone();
        let (head, body) = request.into_parts();
        let (upstream, seen) = (Arc::clone(&self.upstream), Arc::clone(&self.seen));
        let chain = Chain::new(&self.plan, &key, &head, &shell, move |request| {
            *seen.lock().unwrap() = Some(request.headers().clone());
            let response = upstream(&request);
            Box::pin(async { Ok(response) })
        });
        let request = Request::from_parts(head, body);
        chain.unwrap().run(request).now_or_never().expect("the answer waits for nothing")
    }

    fn get(&mut self) -> Response {
        self.send("/", &[]).unwrap()
    }

    fn status(&mut self) -> u16 {
        self.get().status().as_u16()
    }

    /// The headers that went up last.
    fn seen(&self) -> Option<http::HeaderMap> {
        self.seen.lock().unwrap().take()
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The chunks that come, and how it goes on.
#[derive(Debug, PartialEq)]
enum End {
    Whole,
    Waits,
    Breaks(Fault),
}

fn chunks(body: &mut Body) -> (Vec<String>, End) {
    let mut chunks = Vec::new();
    loop {
        match body.next().now_or_never() {
            None => return (chunks, End::Waits),
            Some(None) => return (chunks, End::Whole),
            Some(Some(Err(fault))) => return (chunks, End::Breaks(fault)),
            Some(Some(Ok(frame))) => {
                chunks.push(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap());
            }
        }
    }
}

fn text(mut response: Response) -> String {
    let (chunks, end) = chunks(response.body_mut());
    assert_eq!(end, End::Whole);
    chunks.concat()
}

fn refused(kind: &str, attributes: Value) -> String {
    let spec = json!({"type": kind, "attributes": attributes});
    serde_json::from_value::<sabot_toxics::ToxicSpec>(spec).unwrap_err().to_string()
}

#[test]
fn a_rate_limit_is_a_bucket() {
    let mut bench = Bench::new("http_rate_limit", json!({"rate": 2, "burst": 3}));
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
    let mut bench = Bench::new("http_rate_limit", json!({"rate": 1, "per": "1m", "status": 503}));
    assert_eq!(bench.status(), 200);
    bench.pass(14_500 * MS);
    let refusal = bench.get();
    assert_eq!((refusal.status().as_u16(), header(&refusal, "retry-after")), (503, "46"));
    bench.pass(46_000 * MS);
    assert_eq!(bench.status(), 200);
}

#[test]
fn keys_have_buckets_of_their_own() {
    let mut bench = Bench::new("http_rate_limit", json!({"rate": 1, "key": "header:x-user"}));
    let mut user = |name: &str| bench.send("/", &[("x-user", name)]).unwrap().status().as_u16();
    assert_eq!([user("a"), user("b"), user("a"), user("b")], [200, 200, 429, 429]);

    let mut bench = Bench::new("http_rate_limit", json!({"rate": 1, "key": "path"}));
    let mut path = |path: &str| bench.send(path, &[]).unwrap().status().as_u16();
    assert_eq!([path("/a"), path("/b?x=1"), path("/a?y"), path("/b")], [200, 200, 429, 429]);

    let mut bench = Bench::new("http_rate_limit", json!({"rate": 1, "key": "client"}));
    let mut client = |address| {
        bench.client = Some(address);
        bench.status()
    };
    assert_eq!([client("127.0.0.1"), client("::1"), client("127.0.0.1")], [200, 200, 429]);
}

#[test]
fn the_oldest_keys_are_forgotten() {
    let mut bench = Bench::new("http_rate_limit", json!({"rate": 1, "per": "1h", "key": "path"}));
    let mut path = |number: u32| bench.send(&format!("/{number}"), &[]).unwrap().status().as_u16();
    assert!((0..10_000).all(|number| path(number) == 200));
    assert_eq!(path(0), 429, "it is known, and used again just now");
    assert_eq!(path(10_000), 200, "takes the place of the oldest");
    assert_eq!([path(0), path(1), path(3)], [429, 200, 429]);
}

#[test]
fn a_new_rate_counts_anew_and_the_old_one_goes_on() {
    let mut bench = Bench::new("http_rate_limit", json!({"rate": 1}));
    assert_eq!([bench.status(), bench.status()], [200, 429]);
    bench.plan = updated(&bench.plan, 0, json!({"status": 420}));
    assert_eq!(bench.status(), 420);
    bench.plan = updated(&bench.plan, 0, json!({"rate": 2}));
    assert_eq!([(); 3].map(|()| bench.status()), [200, 200, 420]);
    assert!(
        refused("http_rate_limit", json!({"rate": 0})).starts_with("attributes.rate: must be at least 1")
    );
    assert!(refused("http_rate_limit", json!({"per": 0})).starts_with("attributes.per: "));
    assert!(refused("http_rate_limit", json!({"key": "user"})).contains("header:NAME"));
}

#[test]
fn grpc_calls_are_refused_as_grpc() {
    let mut bench = Bench::new("http_concurrency", json!({"limit": 0}));
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
    assert_eq!(chunks(first.body_mut()).1, End::Whole);
    assert_eq!(bench.status(), 200, "the first has ended, though it is still there");
    bench.plan = updated(&bench.plan, 0, json!({"limit": 1}));
    assert_eq!(bench.status(), 503, "the third still counts");
}

const SSE: &str = "text/event-stream; charset=utf-8";
const EVENTS: &[&str] = &["data: a\n", "\ndata: b\n\nda", "ta: c\n\n", "data: d"];

#[test]
fn events_come_one_by_one() {
    let mut bench = Bench::new("http_stream", json!({"delay": 20})).chunked(SSE, EVENTS);
    let mut answer = bench.get();
    let whole = ["data: a\n\n", "data: b\n\n", "data: c\n\n", "data: d"];
    assert_eq!(chunks(answer.body_mut()), (whole.map(String::from).to_vec(), End::Whole));
    assert_eq!((bench.now(), bench.acted()), (at_ms(80.0), 1));

    for (content_type, chunks_given, expected) in [
        ("application/x-ndjson", &["{\"a\":1}\n{", "}\n"][..], vec!["{\"a\":1}\n", "{}\n"]),
        ("text/plain", &["a\n\nb", "c"][..], vec!["a\n\nb", "c"]),
    ] {
        let mut bench = Bench::new("http_stream", json!({})).chunked(content_type, chunks_given);
        assert_eq!(chunks(bench.get().body_mut()).0, expected, "{content_type}");
        assert_eq!(bench.acted(), 0);
    }
}

#[test]
fn streams_stop_after_some_events() {
    let first = vec!["data: a\n\n".to_owned(), "data: b\n\n".to_owned()];
    for (then, end) in
        [("stall", End::Waits), ("close", End::Breaks(Fault::Close)), ("reset", End::Breaks(Fault::Reset(2)))]
    {
        let mut bench = Bench::new("http_stream", json!({"after": 2, "then": then})).chunked(SSE, EVENTS);
        assert_eq!(chunks(bench.get().body_mut()), (first.clone(), end), "{then}");
        assert_eq!(bench.acted(), 1);
    }
    assert!(refused("http_stream", json!({"after": 2})).contains("give `then` as"));
}

#[test]
fn what_is_taken_back_lets_the_rest_pass() {
    let attributes = json!({"after": 1, "then": "reset", "drop": 1, "delay": 50});
    let mut bench = Bench::new("http_stream", attributes).chunked(SSE, EVENTS);
    let mut answer = bench.get();
    bench.world.over.store(true, Ordering::SeqCst);
    let (chunks, end) = chunks(answer.body_mut());
    assert_eq!((chunks.concat(), end), (EVENTS.concat(), End::Whole));
    assert_eq!((bench.now(), bench.acted()), (Time::ZERO, 0));
}

#[test]
fn a_share_of_events_is_left_out_again_by_seed() {
    let lines: String = (0..1000).map(|number| format!("{number}\n")).collect();
    let whole: &'static str = lines.leak();
    let cut = [&whole[..100], &whole[100..117], &whole[117..]];
    let cut: &'static [&'static str] = Box::leak(Box::new(cut));
    let one: &'static [&'static str] = Box::leak(Box::new([whole]));
    let left = |chunks_given| {
        let mut bench =
            Bench::new("http_stream", json!({"drop": 0.3})).chunked("application/jsonl", chunks_given);
        let mut answer = bench.get();
        assert!(answer.headers().get("content-length").is_none());
        chunks(answer.body_mut()).0
    };
    let lines = left(one);
    assert!((650..750).contains(&lines.len()), "{}", lines.len());
    assert_eq!(lines, left(cut), "pieces change no draw");
}

#[test]
fn long_events_pass_as_they_come() {
    let long: &'static str = "x".repeat(70_000).leak();
    let chunks_given: &'static [&'static str] = Box::leak(Box::new(["a\n", long, "y", "\nb\n", "c\nd\n"]));
    let attributes = json!({"drop": 1, "after": 1, "then": "close"});
    let mut bench = Bench::new("http_stream", attributes).chunked("application/jsonl", chunks_given);
    let (left, end) = chunks(bench.get().body_mut());
    assert_eq!(left.concat(), format!("{long}y\n"), "it is not dropped, and counts once");
    assert_eq!(end, End::Breaks(Fault::Close));
}

fn real(_: &Request) -> Response {
    let mut response = Response::new(Body::full("real"));
    response.headers_mut().insert("content-length", 4.into());
    response.headers_mut().insert("content-type", "text/x-real".parse().unwrap());
    response.headers_mut().insert("content-encoding", "br".parse().unwrap());
    response
}

#[test]
fn litmus_status_code_keeps_or_replaces_the_body() {
    let answer = |attributes| {
        let mut bench = Bench::new("status_code", attributes).answering(real);
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
    let mut bench =
        Bench::new("header", json!({"headers": {"content-type": "a/b", "x-n": 5}})).answering(real);
    let answer = bench.get();
    assert_eq!((header(&answer, "content-type"), header(&answer, "x-n")), ("a/b", "5"));
    assert!(!bench.seen().unwrap().contains_key("x-n"));

    let mut bench = Bench::new("header", json!({"mode": "request", "headers": "{\"x-n\": \"5\"}"}));
    assert_eq!(header(&bench.get(), "x-n"), "");
    assert_eq!(bench.seen().unwrap()["x-n"], "5");
    assert_eq!(bench.acted(), 1);
    assert!(refused("header", json!({"headers": "x-n: 5"})).contains("holds no object"));
    assert!(refused("header", json!({"headers": {"Content-Length": 5}})).contains("leave it out"));
}

#[test]
fn envoy_headers_ask_for_faults_up_to_the_caps() {
    let ask = |attributes: Value, headers: &[(&str, &str)]| {
        let mut bench = Bench::new("envoy_fault", attributes);
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
    let mut bench = Bench::new("envoy_fault", json!({"max_abort_percentage": 30}));
    let headers = [("x-envoy-fault-abort-request", "503"), ("x-envoy-fault-abort-request-percentage", "90")];
    let aborted = (0..2000).filter(|_| bench.send("/", &headers).unwrap().status() == 503).count();
    assert!((530..670).contains(&aborted), "{aborted}");
}

#[test]
fn envoy_throughput_paces_the_body() {
    let mut bench =
        Bench::new("envoy_fault", json!({})).answering(|_| Response::new(Body::full(vec![b'x'; 10_240])));
    let mut answer = bench.send("/", &[("x-envoy-fault-throughput-response", "100")]).unwrap();
    let (left, end) = chunks(answer.body_mut());
    assert_eq!((left.concat().len(), end), (10_240, End::Whole));
    assert_eq!((bench.now(), bench.acted()), (at_ms(100.0), 1));
    assert!(left.iter().all(|chunk| chunk.len() <= 512), "lumps of at most 5 ms");
}
