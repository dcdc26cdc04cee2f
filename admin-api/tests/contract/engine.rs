//! What only an engine with other settings, or without a journal, refuses.

use std::sync::Arc;
use std::time::Duration;

use sabot_admin_api::ApiOptions;
use sabot_injections::engine::{Limits, Settings};
use sabot_injections::journal::FILE;
use sabot_injections::rules::{Closed, Rules, Span};
use serde_json::json;

use crate::api::Api;
use crate::life::asked;

const PROXY: &str =
    r#"{"name":"payments","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","labels":{"shard":"south-1"}}"#;

#[test]
fn nothing_runs_in_a_window() {
    let windows = vec![Closed {
        reason: "freeze".to_owned(),
        span: Span::Once { from_ms: 0, to_ms: 4_000_000_000_000 },
    }];
    let settings = Settings { rules: Rules { windows, ..Rules::default() }, ..Settings::default() };
    let api = Api::with_engine(settings, None, ApiOptions::default());
    let until = r#""status":409,"conflict":{"ends_at":"2096-10-02T07:06:40.000Z"}}"#;
    let closed = format!(r#"{{"error":"nothing may run now (freeze)*",{until}"#);
    let queued = asked(|it| it["queue"] = json!(true));
    api.check(&[
        ("POST /v1/proxies", PROXY, 201, "*"),
        ("POST /injections", &asked(|_| {}), 409, &closed),
        ("POST /injections", &queued, 202, r#"{*"state":"approved"*}"#),
    ]);
}

#[test]
fn there_is_a_most() {
    let settings = Settings { rules: Rules { most: 1, ..Rules::default() }, ..Settings::default() };
    let api = Api::with_engine(settings, None, ApiOptions::default());
    let many = r#"{"error":"1 injections are pending, approved or running: end some, or wait","status":429}"#;
    api.check(&[
        ("POST /v1/proxies", PROXY, 201, "*"),
        ("POST /injections", &asked(|_| {}), 201, "*"),
        ("POST /injections", &asked(|_| {}), 429, many),
    ]);
}

#[test]
fn without_a_journal_nothing_is_injected() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "this is no database, and long enough not to look like one")
        .unwrap();
    let api = Api::with_engine(Settings::default(), Some(folder.path()), ApiOptions::default());
    let unjournalled = r#"{"error":"it could not be journalled, so it was not done: *","status":503}"#;
    let unknown = r#"{"error":"*what was on before this start is not known*","status":503}"#;
    let schedule = format!(r#"{{"name":"a","when":"@every 1h","injection":{}}}"#, asked(|_| {}));
    api.check(&[
        ("POST /v1/proxies", PROXY, 201, "*"),
        ("POST /injections", &asked(|_| {}), 503, unjournalled),
        ("POST /chaos/inject", r#"{"type":"refuse","target":"payments"}"#, 503, unjournalled),
        ("POST /v1/schedules", &schedule, 503, unjournalled),
        ("GET /v1/audit", "", 503, "*"),
        ("GET /v1/audit/verify", "", 503, "*"),
        ("GET /v1/audit/at?time=02:47", "", 503, "*"),
        ("GET /injections", "", 200, r#"{"injections":[],"more":0,"trouble":"*","unread":true}"#),
        ("GET /injections/inj-1", "", 503, unknown),
        ("DELETE /injections/inj-1", "", 503, unknown),
        ("POST /injections/inj-1/renew", "", 503, unknown),
        ("POST /chaos/revert/inj-1", "", 503, unknown),
        ("POST /injections/halt", "", 503, unknown),
        ("GET /v1/proxies/payments/toxics", "", 200, r#"{"toxics":[]}"#),
    ]);
    assert!(api.call("GET /metrics", "").body.contains("\nsabot_journal_writable 0\n"));
}

#[test]
fn what_is_done_and_cannot_be_journalled_says_what_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::with_engine(Settings::default(), Some(folder.path()), ApiOptions::default());
    let schedule = format!(r#"{{"name":"a","when":"@every 1h","injection":{}}}"#, asked(|_| {}));
    api.check(&[("POST /v1/proxies", PROXY, 201, "*"), ("POST /v1/schedules", &schedule, 201, "*")]);
    let id = api.call("POST /injections", &asked(|_| {})).json()["id"].as_str().unwrap().to_owned();
    std::fs::rename(folder.path().join(FILE), folder.path().join("away")).unwrap();
    let later = "it is done, but could not be journalled yet: ";
    api.check(&[
        (
            "DELETE /v1/schedules/a",
            "",
            500,
            &format!(r#"{{"error":"the schedule is gone: {later}*put it back","status":500}}"#),
        ),
        (
            &format!("DELETE /injections/{id}"),
            "",
            500,
            &format!(r#"{{"error":"the fault is off: {later}*put it back","status":500}}"#),
        ),
        ("GET /v1/schedules", "", 200, r#"{"schedules":[]}"#),
    ]);
}

#[test]
fn the_default_duration_is_that_of_the_server() {
    let default_duration = Some(Duration::from_millis(50));
    let api =
        Api::with_engine(Settings { default_duration, ..Settings::default() }, None, ApiOptions::default());
    assert_eq!(api.call("POST /v1/proxies", PROXY).status, 201);
    let begun = api.call("POST /chaos/inject", r#"{"type":"refuse","target":"payments"}"#);
    assert_eq!(begun.status, 201, "{}", begun.body);
    let id = begun.json()["id"].as_str().unwrap().to_owned();
    api.until(&format!("GET /injections/{id}"), |it| it.contains(r#""state":"completed""#));
}

#[test]
fn limits_that_guard_nothing_are_told_in_every_answer() {
    let limits = Limits { error_rate: Some(0.05), ..Limits::default() };
    let api = Api::with_engine(Settings { limits, ..Settings::default() }, None, ApiOptions::default());
    assert_eq!(api.call("POST /v1/proxies", PROXY).status, 201);
    let begun = api.call("POST /chaos/inject", r#"{"type":"refuse","target":"payments"}"#);
    let id = begun.json()["id"].as_str().unwrap().to_owned();
    let told = api.call(&format!("GET /injections/{id}"), "");
    for answer in [begun.json(), told.json()] {
        let warning = answer["warnings"][0].as_str().unwrap();
        assert!(warning.starts_with("the server's limits guard nothing: no HTTP proxy"), "{answer}");
    }
}

#[test]
fn experiments_are_those_of_whoever_serves() {
    let told = "no schedule of experiments is configured: name its file as `experiments` under `injections` in the config";
    let none = format!(r#"{{"error":"{told}","status":404}}"#);
    Api::start().check(&[("GET /chaos/experiments", "", 404, &none)]);
    for (given, status, expected) in [
        (Ok(json!({"title": "All"})), 200, r#"{"title":"All"}"#),
        (
            Err("gone"),
            503,
            r#"{"error":"the schedule of experiments cannot be read any more: gone","status":503}"#,
        ),
    ] {
        let read = move || given.clone().map_err(str::to_owned);
        let options = ApiOptions { experiments: Some(Arc::new(read)), ..ApiOptions::default() };
        Api::with(options).check(&[("GET /chaos/experiments", "", status, expected)]);
    }
}
