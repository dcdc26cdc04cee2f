//! Plans: what they leave out, and what is refused.

use std::sync::{Arc, Mutex};

use sabot_runner::load::{Load, LoadError, Plan, Running};
use serde_json::{Value, json};

use crate::support::{answering, count, http, plan, ready, run, server, with};

fn refused(plan: Value) -> (String, String) {
    let error = Plan::read(plan).and_then(|plan| Load::new(plan).map(drop)).unwrap_err();
    (error.field, error.message)
}

#[test]
fn errors_name_field_and_remedy() {
    let base = json!({"target": "http://localhost", "rate": "5/s", "duration": "1s"});
    for (changes, field, says) in [
        (json!({"rat": 5}), "rat", "did you mean `rate`?"),
        (json!({"rate": "fast"}), "rate", "write it as 300/s"),
        (json!({"rate": {"rmp": {}}}), "rate.rmp", "did you mean `ramp`?"),
        (json!({"rate": {"ramp": {"from": 1, "to": 2}}}), "rate.ramp.over", "is missing"),
        (json!({"rate": {"steps": [{"rate": 1, "fro": "1s"}]}}), "rate.steps[0].fro", "did you mean `for`?"),
        (json!({"rate": 0}), "rate", "must not be 0 all the time"),
        (json!({"rate": -1}), "rate", "lies between"),
        (json!({"duration": null}), "duration", "is missing"),
        (json!({"duration": "0s"}), "duration", "longer than 0"),
        (json!({"arrivals": "poison"}), "arrivals", "did you mean `poisson`?"),
        (json!({"connections": 0}), "connections", "between 1 and 10000"),
        (json!({"timeout": "soon"}), "timeout", "must be"),
        (json!({"timeout": 0}), "timeout", "longer than 0"),
        (json!({"target": null}), "target", "is missing"),
        (json!({"target": "localhost:80"}), "target", "is no whole URL"),
        (json!({"http2": "maybe"}), "http2", "true, false or auto"),
        (json!({"tls": {"cert": "x"}}), "tls.key", "is missing"),
        (json!({"tls": {"roots": "/no/such/file"}}), "tls.roots", "/no/such/file"),
        (json!({"tenants": {"count": 0}}), "tenants.count", "between 1"),
        (json!({"vars": {"a": [1]}}), "vars.a", "must be text"),
        (json!({"endpoints": {}}), "endpoints", "must be a list"),
        (json!({"endpoints": [5]}), "endpoints[0]", "must be an object"),
        (json!({"endpoints": [{"pth": "/"}]}), "endpoints[0].pth", "did you mean `path`?"),
        (json!({"endpoints": [{}]}), "endpoints[0].path", "is missing"),
        (json!({"endpoints": [{"kind": "htp"}]}), "endpoints[0].kind", "did you mean `http`?"),
        (json!({"endpoints": [{"path": "/{{uid}}"}]}), "endpoints[0].path", "did you mean `uuid`?"),
        (json!({"endpoints": [{"path": "/ x"}]}), "endpoints[0].path", "cannot carry"),
        (json!({"endpoints": [{"path": "/"}, {"path": "/"}]}), "endpoints[1].name", "earlier endpoint"),
        (json!({"endpoints": [{"path": "/", "weight": -1}]}), "endpoints[0].weight", "0 or more"),
        (json!({"endpoints": [{"path": "/", "expect": ["2xx"]}]}), "endpoints[0].expect[0]", "200-399"),
        (
            json!({"endpoints": [{"path": "/", "headers": {"a b": "c"}}]}),
            "endpoints[0].headers.a b",
            "is no name",
        ),
        (
            json!({"endpoints": [{"path": "/", "body": {"a": ["{{int}}"]}}]}),
            "endpoints[0].body.a[0]",
            "two numbers",
        ),
        (json!({"endpoints": [{"kind": "redis", "command": "PING"}]}), "target", "does not fit"),
        (
            json!({"endpoints": [{"kind": "redis", "target": "redis://x/a", "command": "PING"}]}),
            "endpoints[0].target",
            "names no database",
        ),
        (
            json!({"endpoints": [{"kind": "sql", "target": "postgres://x", "statement": "SELECT {{int 1 2}}"}]}),
            "endpoints[0].statement",
            "`parameters`",
        ),
        (
            json!({"endpoints": [{"kind": "grpc", "method": "a.B/C", "message": "abc"}]}),
            "endpoints[0].message",
            "hexadecimal",
        ),
        (
            json!({"endpoints": [{"kind": "grpc", "method": "a.B/C", "message": {}}]}),
            "endpoints[0].proto",
            "is missing",
        ),
        (json!({"setup": [{"path": "/t", "capture": {"t": "token"}}]}), "setup[0].capture.t", "JSON pointer"),
    ] {
        let (named, message) = refused(with(base.clone(), changes.clone()));
        assert_eq!(named, field, "{changes}: {message}");
        assert!(message.contains(says), "{changes}: {message}");
    }
}

#[test]
fn a_plan_survives_being_written() {
    let plan = Plan::read(json!({
        "target": "http://localhost", "rate": {"spike": {"base": 5, "peak": "9/s", "at": "1s", "for": 500}},
        "duration": "10s", "http2": true, "vars": {"n": 5},
        "endpoints": [{"path": "/{{int 1 2}}", "weight": 2}, {"kind": "redis", "command": ["PING"], "target": "redis://x"}],
    }));
    let plan = plan.unwrap();
    let written = serde_json::to_value(&plan).unwrap();
    assert_eq!(Plan::read(written.clone()).unwrap(), plan, "{written}");
    assert_eq!(serde_json::from_value::<Plan>(written).unwrap(), plan);
}

#[test]
fn the_schema_has_every_field() {
    let schema = serde_json::to_value(schemars::schema_for!(Plan)).unwrap();
    let fields = schema["properties"].as_object().unwrap();
    for field in ["target", "rate", "duration", "endpoints", "setup", "tenants", "tls", "queue_timeout"] {
        assert!(fields.contains_key(field), "{field}");
    }
    assert_eq!(schema["additionalProperties"], false);
    let text = schema.to_string();
    for field in ["statement", "command", "expect", "proto"] {
        assert!(text.contains(&format!("\"{field}\"")), "{field} of an endpoint");
    }
}

#[test]
fn the_setup_captures_for_each_tenant() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&got);
    let (address, _) = server(answering(move |_, head, body| {
        if head.starts_with("POST /tokens") {
            let tenant: Value = serde_json::from_slice(body).unwrap();
            return http(
                201,
                &json!({"token": format!("t-{}", tenant["tenant"].as_str().unwrap())}).to_string(),
            );
        }
        let header = head.lines().find(|line| line.starts_with("authorization")).unwrap().to_owned();
        keep.lock().unwrap().push(header);
        http(200, "")
    }));
    let more = json!({
        "tenants": {"names": ["a", "b"]},
        "setup": [{"path": "/tokens", "body": {"tenant": "{{tenant}}"}, "capture": {"token": "/token"}}],
        "headers": {"authorization": "Bearer {{token}}"},
        "endpoints": [{"path": "/"}],
    });
    let ran = run(with(plan(address, 40), more));
    assert_eq!(count(&ran.summary, "ok"), 40, "{:?}", ran.summary.total);
    let got = got.lock().unwrap();
    for tenant in ["a", "b"] {
        let named = ran.summary.tenants.iter().find(|part| part.name == tenant).unwrap();
        let header = format!("authorization: Bearer t-{tenant}");
        assert_eq!(got.iter().filter(|got| **got == header).count() as u64, named.part.offered);
    }
}

#[test]
fn a_failed_setup_says_which() {
    let (address, _) = server(answering(|_, _, _| http(401, "no such tenant")));
    let load = ready(with(plan(address, 40), json!({"setup": [{"path": "/tokens"}]})));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(Running::start(&load)).unwrap_err();
    assert!(matches!(&error, LoadError::Setup { field, .. } if field == "setup[0]"));
    assert_eq!(error.to_string(), "setup[0]: POST /tokens of tenant-1: answered 401: no such tenant");
}
