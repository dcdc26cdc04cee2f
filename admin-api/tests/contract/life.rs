//! Injections by the API: their life, and what is refused with which status.

use serde_json::{Value, json};

use crate::api::Api;

/// A server with the proxies of two services, one of them in production.
pub(crate) fn with_shop() -> Api {
    let api = Api::start();
    for (name, labels) in [
        ("pay-1", json!({"service": "payments", "shard": "south-1"})),
        ("pay-2", json!({"service": "payments", "shard": "south-2"})),
        ("ledger", json!({"env": "production"})),
    ] {
        let proxy =
            json!({"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "labels": labels});
        assert_eq!(api.call("POST /v1/proxies", &proxy.to_string()).status, 201);
    }
    api
}

/// The six parts, changed.
pub(crate) fn asked(change: impl FnOnce(&mut Value)) -> String {
    let mut body = json!({
        "target": {"service": "payments", "selector": "shard=south-1", "max_targets": 3},
        "fault": {"type": "latency", "p50_ms": 200, "p99_ms": 500},
        "duration_seconds": 240,
        "steady_state": {"slo": "writes", "min": 0.995, "abort_after": 60},
        "hypothesis": "Writes survive a slow shard", "owner": "payments-oncall@example.com",
    });
    change(&mut body);
    body.to_string()
}

/// One that runs; its id.
pub(crate) fn running(api: &Api, change: impl FnOnce(&mut Value)) -> String {
    let answer = api.call("POST /injections", &asked(change));
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn toxics(api: &Api, proxy: &str) -> Vec<String> {
    let toxics = api.call(&format!("GET /v1/proxies/{proxy}/toxics"), "").json();
    let owners = toxics["toxics"].as_array().unwrap().iter();
    owners.map(|toxic| toxic["owner"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_injection_is_on_until_it_is_taken_back() {
    let api = with_shop();
    let answer = api.call_with("POST /injections", &[("X-Sabot-Actor", "ann@example.com")], &asked(|_| {}));
    let begun = answer.json();
    let id = begun["id"].as_str().unwrap();
    assert_eq!((answer.status, &begun["state"]), (201, &json!("running")), "{begun}");
    assert_eq!(answer.header("location"), Some(&*format!("/injections/{id}")));
    assert_eq!(begun["targets"], json!(["pay-1"]));
    assert_eq!(begun["requested_by"], json!({"who": "ann@example.com", "from": "127.0.0.1"}));
    assert_eq!(begun["fault"], json!({"type": "latency", "p50_ms": 200, "p99_ms": 500}));
    assert!(begun["ends_at"].as_str().unwrap() > begun["started_at"].as_str().unwrap(), "{begun}");
    assert_eq!(toxics(&api, "pay-1"), [format!("injection {id}")]);
    // Clients of Toxiproxy do not see it.
    api.check(&[("GET /proxies/pay-1/toxics", "", 200, "[]")]);
    assert_eq!(api.call(&format!("GET /injections/{id}"), "").json(), begun);

    let ended = api.call(&format!("DELETE /injections/{id}"), "");
    assert_eq!((ended.status, &ended.json()["state"]), (200, &json!("reverted")), "{}", ended.body);
    assert_eq!(ended.json()["reason"], "taken back by anonymous");
    assert_eq!(toxics(&api, "pay-1"), [""; 0]);
    let again = format!(r#"{{"error":"{id} is reverted: *","status":409}}"#);
    api.check(&[(&format!("DELETE /injections/{id}"), "", 409, &again)]);
}

#[test]
fn a_listing_has_what_is_meant() {
    let api = with_shop();
    let id = running(&api, |_| {});
    let other = running(&api, |it| it["target"]["selector"] = json!("shard=south-2"));
    assert_eq!(api.call(&format!("DELETE /injections/{other}"), "").status, 200);
    for (query, expected) in [
        ("", vec![&id, &other]),
        ("?state=running", vec![&id]),
        ("?state=reverted", vec![&other]),
        ("?state=failed", vec![]),
        ("?service=payments&limit=1", vec![&id]),
        ("?service=ledger", vec![]),
    ] {
        let listed = api.call(&format!("GET /injections{query}"), "").json();
        let ids: Vec<_> = listed["injections"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(json!(ids), json!(expected), "{query}");
    }
}

#[test]
fn halt_takes_all_back_at_once() {
    let api = with_shop();
    let running = running(&api, |_| {});
    let waits = api.call("POST /injections", &asked(|it| it["queue"] = json!(true)));
    assert_eq!((waits.status, &waits.json()["state"]), (202, &json!("approved")), "{}", waits.body);
    let halted = api.call("POST /injections/halt", "").json();
    let mut ids: Vec<_> =
        halted["reverted"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    ids.sort_unstable();
    let mut expected = [running.as_str(), waits.json()["id"].as_str().unwrap()].map(str::to_owned);
    expected.sort();
    assert_eq!(ids, expected);
    assert_eq!(toxics(&api, "pay-1"), [""; 0]);
    api.check(&[("POST /injections/halt", "", 200, r#"{"reverted":[],"out_of_scope":0}"#)]);
}

#[test]
fn what_is_serious_waits_for_a_second_person() {
    let api = with_shop();
    let serious = asked(|it| it["target"] = json!({"service": "ledger", "max_targets": 1}));
    let waits = api.call_with("POST /injections", &[("X-Sabot-Actor", "ann")], &serious);
    let id = waits.json()["id"].as_str().unwrap().to_owned();
    assert_eq!((waits.status, &waits.json()["state"]), (202, &json!("pending")), "{}", waits.body);
    assert_eq!(waits.json()["needs_approval"], "ledger has env=production");
    assert_eq!(toxics(&api, "ledger"), [""; 0]);
    let approve = format!("POST /injections/{id}/approve");
    let missing = r#"{"error":"approver: is missing*","status":400,"field":"approver"}"#;
    let same = r#"{"error":"* asked for * or owns it: a second person has to approve it","status":403}"#;
    api.check(&[
        (&approve, "", 400, missing),
        (&approve, r#"{"approver":" "}"#, 400, r#"{"error":"approver: *","status":400,"field":"approver"}"#),
        (&approve, r#"{"aprover":"bob"}"#, 400, r#"{*did you mean `approver`?*"field":"aprover"}"#),
        (&approve, r#"{"approver":"Ann"}"#, 403, same),
        (&approve, r#"{"approver":"payments-oncall@example.com"}"#, 403, same),
        (&approve, r#"{"approver":"bob@example.com"}"#, 200, r#"{*"state":"running"*"bob@example.com"*}"#),
        (&approve, r#"{"approver":"eve@example.com"}"#, 409, r#"{*only one that is pending*}"#),
    ]);
    assert_eq!(toxics(&api, "ledger"), [format!("injection {id}")]);
}

#[test]
fn a_lease_is_renewed_or_ends() {
    let api = with_shop();
    let plain = running(&api, |_| {});
    let none = r#"{*ask for one with `lease_seconds`*"field":"lease_seconds"}"#;
    api.check(&[(&format!("POST /injections/{plain}/renew"), "", 400, none)]);
    let leased = running(&api, |it| {
        it["target"]["selector"] = json!("shard=south-2");
        it["lease_seconds"] = json!(0.3);
    });
    // It may be over on a machine that is busy.
    let renewed = api.call(&format!("POST /injections/{leased}/renew"), "");
    assert!([200, 409].contains(&renewed.status), "{}", renewed.body);
    let over = api.until(&format!("GET /injections/{leased}"), |it| it.contains(r#""ended_at":""#));
    let over: Value = serde_json::from_str(&over).unwrap();
    assert_eq!(over["state"], "aborted", "{over}");
    assert!(over["reason"].as_str().unwrap().contains("lease"), "{over}");
}

#[test]
fn each_refusal_has_its_status_and_names_its_field() {
    let api = with_shop();
    let id = running(&api, |_| {});
    let inject = "POST /injections";
    let without = |part: &str| asked(|it| drop(it.as_object_mut().unwrap().remove(part)));
    let set = |pointer: &str, value: Value| asked(|it| *it.pointer_mut(pointer).unwrap() = value);
    let extra = |name: &str| asked(|it| it[name] = json!(1));
    let http = |it: &mut Value| {
        it["target"]["selector"] = json!("shard=south-2");
        it["fault"] = json!({"type": "http_abort"});
    };
    let rows = [
        (inject, "{}".to_owned(), 400, "target", "it says what may break"),
        (inject, "[]".to_owned(), 400, "body", "must be an object"),
        (inject, without("target"), 400, "target", "nothing bounds the damage"),
        (inject, without("fault"), 400, "fault", "is missing"),
        (inject, without("duration_seconds"), 400, "duration_seconds", "every fault ends by itself"),
        (inject, without("steady_state"), 400, "steady_state", "what must not suffer"),
        (inject, without("hypothesis"), 400, "hypothesis", "nothing to learn"),
        (inject, without("owner"), 400, "owner", "the on-call"),
        (inject, extra("ownr"), 400, "ownr", "did you mean `owner`?"),
        (inject, set("/fault/type", json!("latncy")), 400, "fault.type", "did you mean `latency`?"),
        (inject, set("/fault/p50_ms", json!(-1)), 400, "fault.p50_ms", "milliseconds"),
        (inject, set("/target/service", json!("paymnts")), 400, "target.service", "did you mean `payments`?"),
        (inject, set("/target/selector", json!("shard=x")), 400, "target.selector", "meets none"),
        (inject, set("/target/selector", json!("a of (b)")), 400, "target.selector", "is no term"),
        (inject, set("/target/max_targets", json!(0)), 400, "target.max_targets", "at least 1"),
        (inject, set("/duration_seconds", json!(7200)), 400, "duration_seconds", "this server's limit"),
        (inject, asked(http), 400, "fault.type", "acts on HTTP requests"),
        ("GET /injections?state=runing", String::new(), 400, "state", "did you mean `running`?"),
        ("GET /injections?stat=running", String::new(), 400, "stat", "did you mean `state`?"),
        ("GET /injections?limit=0", String::new(), 400, "limit", "a whole number"),
        ("GET /injections?limit=1&limit=2", String::new(), 400, "limit", "twice"),
        ("GET /injections/inj-none", String::new(), 404, "", "there is no injection `inj-none`"),
        ("DELETE /injections/inj-none", String::new(), 404, "", "there is no injection"),
        ("POST /injections/inj-none/renew", String::new(), 404, "", "there is no injection"),
        ("POST /injections/inj-none/approve", r#"{"approver":"b"}"#.to_owned(), 404, "", "there is no"),
        (inject, asked(|_| {}), 409, "", "overlaps with"),
    ];
    for (line, body, status, field, told) in rows {
        let answer = api.call(line, &body);
        assert_eq!(answer.status, status, "{line} {body}\n{}", answer.body);
        let error = answer.json();
        assert!(error["field"].as_str().unwrap_or_default().starts_with(field), "{line} {body}: {error}");
        assert!(error["error"].as_str().unwrap().contains(told), "{line} {body}: {error}");
    }
    let conflict = &api.call(inject, &asked(|_| {})).json()["conflict"];
    assert_eq!(conflict["id"], json!(id));
    assert_eq!(conflict["owner"], "payments-oncall@example.com");
    assert!(conflict["ends_at"].as_str().unwrap().ends_with('Z'), "{conflict}");
}

/// Who names one believes that it is the only one.
#[test]
fn a_halt_that_names_something_is_refused() {
    let api = with_shop();
    let id = running(&api, |_| {});
    let (line, body) = ("POST /injections/halt", format!(r#"{{"id":"{id}"}}"#));
    for (line, body) in [(line, body.as_str()), (line, "id=1"), ("POST /injections/halt?id=1", "")] {
        assert_eq!(api.call(line, body).status, 400, "{line} {body}");
    }
    let halted = |body| api.call(line, body).json()["reverted"].as_array().map(Vec::len);
    assert_eq!((halted("{}"), halted("")), (Some(1), Some(0)));
}

#[test]
fn what_is_left_open_may_be_said_to_be_none_and_no_selector_means_all_by_accident() {
    let api = with_shop();
    let null = asked(|it| it["lease_seconds"] = Value::Null);
    assert_eq!(api.call("POST /injections", &null).status, 201);
    for selector in ["", " ,"] {
        let answer = api.call("POST /injections", &asked(|it| it["target"]["selector"] = json!(selector)));
        assert_eq!((answer.status, answer.json()["field"].as_str()), (400, Some("target.selector")));
    }
}
