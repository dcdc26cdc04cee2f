use serde_json::json;

use super::*;

/// The example of the documentation.
fn example() -> Value {
    json!({
        "target": {"service": "payments", "selector": "shard=south-1", "max_targets": 3},
        "fault": {"type": "latency", "p50_ms": 200, "p99_ms": 500},
        "duration_seconds": 240,
        "steady_state": {"slo": "merchant-write-success", "min": 0.995, "abort_after": 60},
        "hypothesis": "writes go on while payments is slow",
        "owner": "payments-oncall@example.com",
    })
}

fn changed(pointer: &str, value: Value) -> Value {
    let mut body = example();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value;
    body
}

#[test]
fn the_example_is_read() {
    let request = Request::read(example()).unwrap();
    assert_eq!(request.target.service, "payments");
    assert_eq!(request.target.max_targets, 3);
    assert_eq!(request.duration(), Duration::from_secs(240));
    let steady = request.steady_state.as_ref().unwrap();
    assert!(steady.is_met(0.995) && !steady.is_met(0.9949));
    assert_eq!(
        (steady.grace(), steady.grace_without_data()),
        (Duration::from_secs(60), Duration::from_secs(60))
    );
    let toxic = request.fault.spec().unwrap();
    assert_eq!(toxic.kind.name, "latency");
    assert_eq!(toxic.attributes["distribution"], "lognormal");
    // What is kept is read again as it was.
    let kept = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<Request>(&kept).unwrap(), request);
}

#[test]
fn each_part_has_to_be_there_and_the_error_says_why() {
    for (part, why) in PARTS {
        for body in [changed(&format!("/{part}"), Value::Null), {
            let mut body = example();
            body.as_object_mut().unwrap().remove(part);
            body
        }] {
            let error = Request::read(body).unwrap_err();
            assert_eq!((error.field.as_str(), error.message), (part, format!("is missing: {why}")));
        }
    }
    for (field, why) in FIELDS {
        let (part, name) = field.split_once('.').unwrap();
        let mut body = example();
        body[part].as_object_mut().unwrap().remove(name);
        let told = format!("is missing: {why}");
        for body in [changed(&format!("/{part}/{name}"), Value::Null), body] {
            let error = Request::read(body).unwrap_err();
            assert_eq!((error.field.as_str(), error.message.as_str()), (field, told.as_str()));
        }
    }
    let mut body = example();
    body["target"].as_object_mut().unwrap().remove("max_targets");
    body["owner"].take();
    let both = Request::read(body).unwrap_err();
    assert_eq!(both.field, "owner");
    assert!(both.message.contains("; target.max_targets is missing: it bounds"), "{both}");
    let all = Request::read(json!({})).unwrap_err().message;
    assert!(PARTS.iter().all(|(_, why)| all.contains(why)), "{all}");
}

#[test]
fn what_cannot_be_is_refused_by_field() {
    for (pointer, value, field, told) in [
        ("/owners", json!("x"), "owners", "did you mean `owner`"),
        ("/target", json!("payments"), "target", "object"),
        ("/target/service", json!(""), "target.service", "empty"),
        ("/target/service", json!(1), "target.service", "text"),
        ("/target/services", json!(""), "target.services", "did you mean `service`"),
        ("/target/selector", json!("a b"), "target.selector", "no term"),
        ("/target/selector", json!(["a"]), "target.selector", "text"),
        ("/target/max_targets", json!(0), "target.max_targets", "at least 1"),
        ("/target/max_targets", json!(-1), "target.max_targets", "at least 1"),
        ("/target/max_targets", json!(1.5), "target.max_targets", "whole"),
        ("/target/max_pods", json!(1), "target.max_pods", "another word"),
        ("/fault", json!([]), "fault", "object"),
        ("/fault/type", json!("latancy"), "fault.type", "latency"),
        ("/fault/type", json!(7), "fault.type", "text"),
        ("/fault/p50_ms", json!(-1), "fault.p50_ms", "milliseconds"),
        ("/fault/p50_ms", json!(501), "fault.p99_ms", "less than"),
        ("/fault/p50_ms", Value::Null, "fault.p50_ms", "missing"),
        ("/fault/p50_ms", json!(0), "fault.p50_ms", "more than 0"),
        ("/fault", json!({"type": "latency"}), "fault.p50_ms", "say how long"),
        ("/fault", json!({"type": "latency", "p50_ms": 0, "p99_ms": 0}), "fault.p50_ms", "more than 0"),
        ("/fault/latency", json!(5), "fault.latency", "twice"),
        ("/fault/when", json!({"expires_after": 5}), "fault.when.expires_after", "duration_seconds"),
        ("/fault/colour", json!(5), "fault.colour", "unknown"),
        ("/fault/toxicity", json!(2), "fault.toxicity", "0 and 1"),
        ("/fault/stream", json!("sideways"), "fault.stream", "downstream"),
        ("/fault/attributes", json!(5), "fault.attributes", "object"),
        ("/duration_seconds", json!(0), "duration_seconds", "at least 0.001"),
        ("/duration_seconds", json!(1e300), "duration_seconds", "30 days"),
        ("/duration_seconds", json!("4m"), "duration_seconds", "number"),
        ("/lease_seconds", json!(0), "lease_seconds", "at least 0.001"),
        ("/steady_state/min", Value::Null, "steady_state.min", "missing"),
        ("/steady_state/max", json!(0.5), "steady_state.min", "above"),
        ("/steady_state/abort_after", json!(-1), "steady_state.abort_after", "0 or more"),
        (
            "/steady_state/abort_without_data_after",
            json!(0),
            "steady_state.abort_without_data_after",
            "every second",
        ),
        (
            "/steady_state/abort_without_data_after",
            json!(1.9),
            "steady_state.abort_without_data_after",
            "2 or more",
        ),
        (
            "/steady_state/abort_without_data_after",
            json!(1e9),
            "steady_state.abort_without_data_after",
            "30 days",
        ),
        ("/steady_state/slo", json!(" "), "steady_state.slo", "empty"),
        ("/steady_state/abort_befor", json!(1), "steady_state.abort_befor", "unknown"),
        ("/hypothesis", json!("  "), "hypothesis", "empty"),
        ("/owner", json!("a\u{1b}[31m"), "owner", "control"),
        ("/owner", json!("a".repeat(3000)), "owner", "at most"),
        ("/queue", json!("yes"), "queue", "true or false"),
    ] {
        let body = changed(pointer, value.clone());
        let error = Request::read(body).expect_err(&format!("{pointer} {value}"));
        assert_eq!(error.field, field, "{pointer} {value}: {error}");
        assert!(error.message.contains(told), "{pointer} {value}: {error}");
    }
    assert_eq!(Request::read(json!([])).unwrap_err().field, "body");
}

#[test]
fn the_shortest_silence_is_taken() {
    let request = Request::read(changed("/steady_state/abort_without_data_after", json!(2))).unwrap();
    assert_eq!(request.steady_state.unwrap().grace_without_data(), Duration::from_secs(2));
}

#[test]
fn words_of_others_are_taken() {
    let mut body = example();
    let target = body["target"].as_object_mut().unwrap();
    let cap = target.remove("max_targets").unwrap();
    target.insert("max_pods".to_owned(), cap);
    assert_eq!(Request::read(body).unwrap().target.max_targets, 3);
}

#[test]
fn any_kind_is_a_fault() {
    for fault in [
        json!({"type": "http_abort", "status": 503, "toxicity": 0.2}),
        json!({"type": "latency", "attributes": {"latency": 5}, "stream": "upstream", "when": {"first": 3}}),
        json!({"type": "half_open"}),
        json!({"type": "refuse"}),
    ] {
        let request = Request::read(changed("/fault", fault.clone())).unwrap();
        let spec = request.fault.spec().unwrap();
        assert_eq!(spec.kind.name, fault["type"]);
    }
}

#[test]
fn a_fault_that_the_journal_could_not_read_again_is_refused() {
    let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
    let asked = |levels| changed("/fault", json!({"type": "http_body", "merge": deep(levels)}));
    let refused = Request::read(asked(101)).unwrap_err().to_string();
    assert!(refused.contains("fault.merge: has more than 100 levels"), "{refused}");
    let text = serde_json::to_string(&Request::read(asked(100)).unwrap()).unwrap();
    let event = json!({"action": "injection.requested", "request": null}).to_string().replace("null", &text);
    serde_json::from_str::<Value>(&event).unwrap();
}

#[test]
fn parameters_are_told_in_short() {
    let told = |fault: Value| Request::read(changed("/fault", fault)).unwrap().fault.told();
    assert_eq!(told(json!({"type": "latency", "p50_ms": 200, "p99_ms": 500})), "p50_ms=200 p99_ms=500");
    assert_eq!(told(json!({"type": "refuse"})), "");
    let long = told(json!({"type": "http_abort", "status": 503, "body": "é".repeat(1000)}));
    assert!(long.starts_with("status=503 body=é") && long.ends_with("é…"), "{long}");
    assert_eq!(long.chars().count(), 121);
}
