//! Injections that come again.

use serde_json::json;

use crate::life::{asked, with_shop};

fn schedule(name: &str, when: &str) -> String {
    format!(r#"{{"name":"{name}","when":"{when}","injection":{}}}"#, asked(|_| {}))
}

#[test]
fn a_schedule_is_added_shown_and_removed() {
    let api = with_shop();
    let added = api.call("POST /v1/schedules", &schedule("nightly", "30 2 * * MON-FRI Europe/Berlin"));
    assert_eq!(added.status, 201, "{}", added.body);
    assert_eq!(added.header("location"), Some("/v1/schedules/nightly"));
    let told = added.json();
    assert_eq!(told["when"], "30 2 * * MON-FRI Europe/Berlin");
    assert!(told["next_at"].as_str().unwrap().ends_with(":30:00.000Z"), "{told}");
    assert_eq!(told["injection"]["fault"]["type"], "latency");
    assert_eq!(told["by"]["who"], "payments-oncall@example.com");
    assert_eq!(api.call("GET /v1/schedules", "").json(), json!({"schedules": [told]}));
    api.check(&[
        ("POST /v1/schedules", &schedule("nightly", "@every 1h"), 409, r#"{*remove it first","status":409}"#),
        ("DELETE /v1/schedules/nightly", "", 204, ""),
        ("DELETE /v1/schedules/nightly", "", 404, r#"{*there is no schedule `nightly`","status":404}"#),
        ("GET /v1/schedules", "", 200, r#"{"schedules":[]}"#),
    ]);
}

#[test]
fn what_no_proxy_can_have_is_refused_and_what_none_has_yet_is_told() {
    let api = with_shop();
    let of = |change: fn(&mut serde_json::Value)| {
        format!(r#"{{"name":"a","when":"@every 1h","injection":{}}}"#, asked(change))
    };
    let share = of(|it| it["steady_state"]["min"] = json!(5));
    let http = of(|it| it["fault"] = json!({"type": "http_abort", "status": 503}));
    for (body, field) in [(share, "injection.steady_state.min"), (http, "injection.fault.type")] {
        let answer = api.call("POST /v1/schedules", &body);
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{body}: {}", answer.body);
    }
    let later = api.call("POST /v1/schedules", &of(|it| it["target"]["service"] = json!("later")));
    assert_eq!(later.status, 201, "{}", later.body);
    assert!(later.json()["warning"].as_str().unwrap().contains("no proxy belongs to it"), "{}", later.body);
    assert!(!api.call("GET /v1/schedules", "").body.contains("warning"));
}

#[test]
fn it_asks_again_and_again() {
    let api = with_shop();
    let short = asked(|it| it["duration_seconds"] = json!(0.1));
    let body = format!(r#"{{"name":"often","when":"@every 1s","injection":{short}}}"#);
    assert_eq!(api.call("POST /v1/schedules", &body).status, 201);
    api.until("GET /injections?state=completed", |it| it.matches(r#""schedule":"often""#).count() >= 2);
}

#[test]
fn what_could_never_run_is_refused() {
    let api = with_shop();
    let bad =
        format!(r#"{{"name":"a","when":"@every 1h","injection":{}}}"#, asked(|it| it["owner"] = json!("")));
    let part = r#"{"name":"a","when":"@every 1h","injection":{"owner":"x"}}"#;
    for (body, field) in [
        (schedule("a b", "@every 1h"), "name"),
        (schedule("a", "@hourly"), "when"),
        (schedule("a", "@every 1ms"), "when"),
        (bad, "injection.owner"),
        (part.to_owned(), "injection.target"),
        (r#"{"name":"a","when":"@every 1h"}"#.to_owned(), "injection"),
        (r#"{"name":"a","when":"@every 1h","injection":{},"who":1}"#.to_owned(), "who"),
    ] {
        let answer = api.call("POST /v1/schedules", &body);
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{body}: {}", answer.body);
    }
}
