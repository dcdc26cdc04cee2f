//! The audit: every change by any route, and what can be asked of it.

use serde_json::{Value, json};

use crate::api::Api;
use crate::life::{asked, running, with_shop};

/// What has been journalled, once there are so many.
fn events(api: &Api, query: &str, least: usize) -> Vec<Value> {
    let of = |text: &str| -> Vec<Value> {
        let answer: Value = serde_json::from_str(text).unwrap();
        answer["events"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    };
    of(&api.until(&format!("GET /v1/audit{query}"), |text| of(text).len() >= least))
}

#[test]
fn changes_by_toxiproxys_routes_are_noted_with_who_made_them() {
    let api = Api::with_redis();
    let who = [("X-Sabot-Actor", "ann@example.com"), ("User-Agent", "toxiproxy-cli/v2.12.0 (linux/amd64)")];
    let toxic = r#"{"type":"latency","attributes":{"latency":5}}"#;
    let large = format!(r#"{{"type":"latency","pad":"{}"}}"#, "a".repeat(3000));
    // As deep as is read at all: with what the journal puts around it, it would not be read again.
    let deep = format!(
        r#"{{"name":"d","upstream":"d:1","enabled":false,"x":{}{}}}"#,
        "[".repeat(126),
        "]".repeat(126)
    );
    for (line, body) in [
        ("POST /proxies/redis/toxics", toxic),
        ("POST /proxies/redis/toxics", toxic),
        ("GET /proxies/redis/toxics", ""),
        ("POST /proxies/redis/toxics/nope", &large),
        ("POST /proxies/redis/toxics/latency_downstream", &large),
        ("POST /proxies", &deep),
        ("DELETE /proxies/redis/toxics/latency_downstream", ""),
        ("POST /populate", r#"[{"name":"b","upstream":"b:1","enabled":false,"api_token":"hidden"}]"#),
        ("POST /nothing/there", "{}"),
        ("PUT /proxies", "{}"),
        ("POST /reset", ""),
        ("PATCH /v1/proxies/b", r#"{"labels":{"team":"x"}}"#),
    ] {
        api.call_with(line, &who, body);
    }
    let noted = events(&api, "?action=changed&who=ann@example.com", 7);
    let noted: Vec<_> = noted.iter().map(|it| (&it["what"], &it["status"], &it["detail"])).collect();
    let spec: Value = serde_json::from_str(toxic).unwrap();
    let hidden = json!([{"name": "b", "upstream": "b:1", "enabled": false, "api_token": "(left out)"}]);
    let expected = json!([
        ["POST /proxies/redis/toxics", 200, spec],
        ["POST /proxies/redis/toxics/latency_downstream", 200, {"bytes": large.len()}],
        ["POST /proxies", 201, {"bytes": deep.len()}],
        ["DELETE /proxies/redis/toxics/latency_downstream", 204, null],
        ["POST /populate", 201, hidden],
        ["POST /reset", 204, null],
        ["PATCH /v1/proxies/b", 200, {"labels": {"team": "x"}}],
    ]);
    assert_eq!(json!(noted), expected);
    // What changed nothing is no change.
    let refused = events(&api, "?action=refused&who=ann@example.com", 2);
    let refused: Vec<_> = refused.iter().map(|it| (&it["what"], &it["reason"])).collect();
    let expected = json!([
        ["POST /proxies/redis/toxics: latency", "toxic already exists"],
        ["POST /proxies/redis/toxics/nope", "toxic not found"],
    ]);
    assert_eq!(json!(refused), expected);
    // What made the proxy came by nobody in particular.
    let first = &events(&api, "?action=changed&limit=10000", 7)[0];
    assert_eq!((&first["who"], &first["from"]), (&json!("anonymous"), &json!("127.0.0.1")));
    let verified = api.call("GET /v1/audit/verify", "").json();
    assert_eq!((&verified["intact"], &verified["in_memory"]), (&json!(true), &json!(true)), "{verified}");
}

#[test]
fn an_injection_is_there_before_it_is_answered_and_its_refusal_as_well() {
    let api = with_shop();
    let id = running(&api, |_| {});
    let told = events(&api, &format!("?subject={id}"), 2);
    let actions: Vec<_> = told.iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["injection.requested", "injection.started"]);
    // Its owner asked for it, as far as anybody said.
    assert_eq!(told[0]["who"], "payments-oncall@example.com");
    assert_eq!(told[0]["request"]["hypothesis"], "Writes survive a slow shard");
    assert_eq!(api.call("POST /injections", &asked(|_| {})).status, 409);
    api.call("POST /chaos/inject", r#"{"type":"latncy","target":"payments"}"#);
    api.call("DELETE /injections/inj-none", "");
    let refused = events(&api, "?action=refused", 3);
    let told: Vec<_> = refused.iter().map(|it| it["what"].as_str().unwrap()).collect();
    let expected = [
        "POST /injections: latency on payments",
        "POST /chaos/inject: latncy on payments",
        "DELETE /injections/inj-none",
    ];
    assert_eq!(told, expected);
    assert!(refused[0]["reason"].as_str().unwrap().contains(&id), "{}", refused[0]);
    assert_eq!(refused[0]["who"], "payments-oncall@example.com");
}

#[test]
fn it_can_be_read_in_turn() {
    let api = with_shop();
    let all: Vec<_> = events(&api, "", 4).iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    let mut read = Vec::new();
    loop {
        let after = read.last().copied().unwrap_or(0);
        let page = events(&api, &format!("?after={after}&limit=2"), 0);
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 2);
        read.extend(page.iter().map(|it| it["seq"].as_u64().unwrap()));
    }
    assert_eq!(read, all);
    let newest = events(&api, "?limit=1", 1);
    assert_eq!(newest[0]["seq"].as_u64(), all.last().copied());
}

#[test]
fn a_moment_is_asked_what_was_on() {
    let api = with_shop();
    let id = running(&api, |_| {});
    let began =
        api.call(&format!("GET /injections/{id}"), "").json()["started_at"].as_str().unwrap().to_owned();
    let at = api.call(&format!("GET /v1/audit/at?time={began}"), "").json();
    assert_eq!((&at["time"], &at["injections"][0]["id"]), (&json!(began), &json!(id)));
    assert_eq!((&at["until"], &at["begins"]), (&json!(null), &json!(null)));
    // What was there before the journal nobody knows.
    let before = api.call("GET /v1/audit/at?time=2020-01-01T00:00:00Z", "").json();
    assert_eq!((&before["injections"], &before["changes"]), (&json!([]), &json!([])));
    assert!(before["begins"].as_str().unwrap() > "2026", "{before}");
    // A toxic that somebody sets is no injection, and may have been it all the same.
    api.call("POST /proxies/pay-1/toxics", r#"{"type":"latency","name":"slow"}"#);
    let changed = &events(&api, "?action=changed&limit=1", 1)[0];
    let minute = &changed["at"].as_str().unwrap()[11..16];
    let then = api.call(&format!("GET /v1/audit/at?time={minute}"), "").json();
    let last = then["changes"].as_array().unwrap().last().unwrap();
    assert_eq!(last["what"], "POST /proxies/pay-1/toxics", "{then}");
    assert!(then["until"].as_str() > then["time"].as_str(), "{then}");
    for (query, field) in [
        ("/at", "time"),
        ("/at?time=soon", "time"),
        ("?since=25:00", "since"),
        ("?until=yesterday", "until"),
        ("?after=-1", "after"),
        ("?limit=10001", "limit"),
        ("?form=1", "form"),
    ] {
        let answer = api.call(&format!("GET /v1/audit{query}"), "");
        assert_eq!(
            (answer.status, &answer.json()["field"]),
            (400, &json!(field)),
            "{query}: {}",
            answer.body
        );
    }
    assert_eq!(events(&api, "?since=00:00&until=2100-01-01T00:00:00Z&who=sabot&action=server", 1).len(), 1);
}
