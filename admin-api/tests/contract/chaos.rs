//! `/chaos`: two calls for scripts.

use serde_json::json;

use crate::api::Api;
use crate::life::with_shop;

fn begin(api: &Api, body: &str) -> String {
    let begun = api.call_with("POST /chaos/inject", &[("X-Sabot-Actor", "ann")], body);
    assert_eq!(begun.status, 201, "{}", begun.body);
    begun.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_script_breaks_and_mends() {
    let api = with_shop();
    let body = r#"{"type":"latency","target":"payments","params":{"latency":"50ms","duration_seconds":30}}"#;
    let begun = api.call_with("POST /chaos/inject", &[("X-Sabot-Actor", "ann")], body);
    let told = begun.json();
    assert_eq!(begun.status, 201, "{told}");
    assert_eq!((&told["targets"], &told["owner"]), (&json!(["pay-1", "pay-2"]), &json!("ann")));
    assert!(told["t_start"].as_str().unwrap().ends_with('Z'), "{told}");
    let id = told["id"].as_str().unwrap();
    let injection = api.call(&format!("GET /injections/{id}"), "").json();
    assert_eq!((&injection["duration_seconds"], &injection["steady_state"]), (&json!(30.0), &json!(null)));
    // Nothing sees requests on a proxy that speaks no HTTP, so there is nothing to wait for.
    let stopped = api.call(&format!("POST /chaos/revert/{id}"), "").json();
    assert_eq!(stopped["mttr_seconds"], json!(null));
    assert!(stopped["t_stop"].as_str().unwrap() >= told["t_start"].as_str().unwrap(), "{stopped}");
    assert_eq!(stopped["state"], "reverted");
    assert_eq!(api.call(&format!("POST /chaos/revert/{id}"), "").status, 409);
}

#[test]
fn a_target_may_be_bounded() {
    let api = with_shop();
    let one = r#"{"type":"refuse","target":{"service":"payments","max_pods":1}}"#;
    let id = begin(&api, one);
    let injection = api.call(&format!("GET /injections/{id}"), "").json();
    assert_eq!((injection["targets"].as_array().unwrap().len(), &injection["matched"]), (1, &json!(2)));
    assert_eq!(injection["duration_seconds"], json!(60.0));
}

#[test]
fn what_is_serious_waits_here_as_well() {
    let api = with_shop();
    let waits = api.call("POST /chaos/inject", r#"{"type":"refuse","target":"ledger"}"#);
    assert_eq!((waits.status, &waits.json()["t_start"]), (202, &json!(null)), "{}", waits.body);
    let id = waits.json()["id"].as_str().unwrap().to_owned();
    let stopped = api.call(&format!("POST /chaos/revert/{id}?wait_seconds=0"), "");
    assert_eq!(stopped.status, 200, "{}", stopped.body);
}

#[test]
fn refusals_are_in_the_words_of_these_routes() {
    let api = with_shop();
    let inject = "POST /chaos/inject";
    for (line, body, status, field, told) in [
        (inject, r#"{"target":"payments"}"#, 400, "type", "is missing"),
        (inject, r#"{"type":"refuse"}"#, 400, "target", "is missing"),
        (inject, r#"{"type":"latncy","target":"payments"}"#, 400, "type", "did you mean `latency`?"),
        (inject, r#"{"type":"refuse","target":"paymnts"}"#, 400, "target.service", "did you mean"),
        (
            inject,
            r#"{"type":"refuse","target":"payments","parms":{}}"#,
            400,
            "parms",
            "did you mean `params`?",
        ),
        (
            inject,
            r#"{"type":"latency","target":"payments","params":{"latncy":1}}"#,
            400,
            "params.latncy",
            "latency",
        ),
        (
            inject,
            r#"{"type":"latency","target":"payments","params":{"type":"x"}}"#,
            400,
            "params.type",
            "beside",
        ),
        (
            inject,
            r#"{"type":"refuse","target":"payments","params":{"duration_seconds":0}}"#,
            400,
            "params.duration_seconds",
            "at least",
        ),
        (
            inject,
            r#"{"type":"refuse","target":"payments","params":{"duration_seconds":1e6}}"#,
            400,
            "params.duration_seconds",
            "limit",
        ),
        (inject, r#"{"type":"http_abort","target":"payments"}"#, 400, "type", "pay-1"),
        (
            inject,
            r#"{"type":"refuse","target":{"service":"payments"}}"#,
            400,
            "target.max_targets",
            "is missing",
        ),
        (inject, r#"{"type":"refuse","target":7}"#, 400, "target", "must be an object"),
        ("POST /chaos/revert/inj-none", "", 404, "", "there is no injection"),
        (
            "POST /chaos/revert/inj-none?wait_seconds=21",
            "",
            400,
            "wait_seconds",
            "a whole number from 0 to 20",
        ),
        ("POST /chaos/revert/inj-none?wait=1", "", 400, "wait", "unknown parameter"),
    ] {
        let answer = api.call(line, body);
        assert_eq!(answer.status, status, "{line} {body}\n{}", answer.body);
        let error = answer.json();
        assert!(error["field"].as_str().unwrap_or_default().starts_with(field), "{line} {body}: {error}");
        assert!(error["error"].as_str().unwrap().contains(told), "{line} {body}: {error}");
    }
}
