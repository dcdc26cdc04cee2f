//! Answers that come event by event.

use sabot_toxics::Time;
use sabot_toxics::http::Fault;
use serde_json::json;

use super::bench::{Bench, End, refused};
use crate::support::at_ms;

const SSE: &str = "text/event-stream; charset=utf-8";
const EVENTS: &[&str] = &["data: a\n", "\ndata: b\n\nda", "ta: c\n\n", "data: d"];

#[test]
fn events_come_one_by_one() {
    let bench = Bench::new("http_stream", json!({"delay": 20})).chunked(SSE, EVENTS);
    let mut answer = bench.get();
    let whole = ["data: a\n\n", "data: b\n\n", "data: c\n\n", "data: d"];
    assert_eq!(bench.chunks(answer.body_mut()), (whole.map(String::from).to_vec(), End::Whole));
    assert_eq!((bench.now(), bench.acted()), (at_ms(80.0), 1));

    for (content_type, chunks_given, expected) in [
        ("application/x-ndjson", &["{\"a\":1}\n{", "}\n"][..], vec!["{\"a\":1}\n", "{}\n"]),
        ("text/plain", &["a\n\nb", "c"][..], vec!["a\n\nb", "c"]),
    ] {
        let bench = Bench::new("http_stream", json!({})).chunked(content_type, chunks_given);
        assert_eq!(bench.chunks(bench.get().body_mut()).0, expected, "{content_type}");
        assert_eq!(bench.acted(), 0);
    }
}

#[test]
fn streams_stop_after_some_events() {
    let first = vec!["data: a\n\n".to_owned(), "data: b\n\n".to_owned()];
    for (then, end) in
        [("stall", End::Waits), ("close", End::Breaks(Fault::Close)), ("reset", End::Breaks(Fault::Reset(2)))]
    {
        let bench = Bench::new("http_stream", json!({"after": 2, "then": then})).chunked(SSE, EVENTS);
        assert_eq!(bench.chunks(bench.get().body_mut()), (first.clone(), end), "{then}");
        assert_eq!(bench.acted(), 1);
    }
    assert!(refused("http_stream", json!({"after": 2})).contains("give `then` as"));
}

#[test]
fn what_is_taken_back_lets_the_rest_pass() {
    let attributes = json!({"after": 1, "then": "reset", "drop": 1, "delay": 50});
    let bench = Bench::new("http_stream", attributes).chunked(SSE, EVENTS);
    let mut answer = bench.get();
    bench.remove();
    let (chunks, end) = bench.chunks(answer.body_mut());
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
        let bench =
            Bench::new("http_stream", json!({"drop": 0.3})).chunked("application/jsonl", chunks_given);
        let mut answer = bench.get();
        assert!(answer.headers().get("content-length").is_none());
        bench.chunks(answer.body_mut()).0
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
    let bench = Bench::new("http_stream", attributes).chunked("application/jsonl", chunks_given);
    let (left, end) = bench.chunks(bench.get().body_mut());
    assert_eq!(left.concat(), format!("{long}y\n"), "it is not dropped, and counts once");
    assert_eq!(end, End::Breaks(Fault::Close));
}
