//! What an injection owns: shown by Sabot's own routes, changed by none of those for toxics, and
//! nothing that the routes of Toxiproxy know.

use sabot_toxics::ToxicSpec;
use serde_json::{Value, json};

use crate::api::Api;

fn spec(value: Value) -> ToxicSpec {
    serde_json::from_value(value).unwrap()
}

/// A server with a proxy `p`, on which the injection `i-1` has `slow` and `both`.
fn injected() -> (Api, String) {
    let api = Api::start();
    let made = api.call("POST /proxies", r#"{"name":"p","listen":"127.0.0.1:0","upstream":"localhost:1"}"#);
    assert_eq!(made.status, 201, "{}", made.body);
    for name in ["slow", "both"] {
        api.controller().inject("p", "i-1", spec(json!({"type": "latency", "name": name}))).unwrap();
    }
    (api, made.json()["listen"].as_str().unwrap().to_owned())
}

/// The names of the injected faults.
fn faults(api: &Api) -> Vec<String> {
    let faults = api.controller().proxy("p").unwrap().injected;
    faults.into_iter().map(|fault| fault.name).collect()
}

#[test]
fn the_routes_of_toxiproxy_neither_show_nor_change_them() {
    let (api, listen) = injected();
    let shown = |toxics: &str| {
        format!(
            r#"{{"name":"p","listen":"{listen}","upstream":"localhost:1","enabled":true,"toxics":[{toxics}]}}"#
        )
    };
    let none = shown("");
    let both = |latency: u32| {
        format!(
            r#"{{"attributes":{{"latency":{latency},"jitter":0}},"name":"both","type":"latency","stream":"upstream","toxicity":1}}"#
        )
    };
    let gone = r#"{"error":"toxic not found","status":404}"#;
    let add = r#"{"type":"latency","name":"both","stream":"upstream","attributes":{"latency":5}}"#;
    let populate = format!(r#"[{{"name":"p","listen":"{listen}","upstream":"localhost:1"}}]"#);
    api.check(&[
        ("GET /proxies", "", 200, &format!(r#"{{"p":{none}}}"#)),
        ("GET /proxies/p", "", 200, &none),
        ("GET /proxies/p/toxics", "", 200, "[]"),
        ("GET /proxies/p/toxics/slow", "", 404, gone),
        ("POST /proxies/p/toxics/slow", r#"{"attributes":{"latency":9}}"#, 404, gone),
        ("PATCH /proxies/p/toxics/slow", r#"{"toxicity":0}"#, 404, gone),
        ("DELETE /proxies/p/toxics/slow", "", 404, gone),
        // The name is free here, and what it stands for is the client's own.
        ("POST /proxies/p/toxics", add, 200, &both(5)),
        ("POST /proxies/p/toxics", add, 409, r#"{"error":"toxic already exists","status":409}"#),
        ("GET /proxies/p/toxics", "", 200, &format!("[{}]", both(5))),
        ("GET /proxies/p", "", 200, &shown(&both(5))),
        ("POST /proxies/p/toxics/both", r#"{"attributes":{"latency":7}}"#, 200, &both(7)),
        ("GET /proxies/p/toxics/both", "", 200, &both(7)),
        ("POST /populate", &populate, 201, &format!(r#"{{"proxies":[{}]}}"#, shown(&both(7)))),
        ("POST /proxies/p", r#"{"enabled":true}"#, 200, &shown(&both(7))),
        ("DELETE /proxies/p/toxics/both", "", 204, ""),
        ("GET /proxies/p/toxics/both", "", 404, gone),
        ("POST /reset", "", 204, ""),
        ("GET /proxies/p", "", 200, &none),
    ]);
    assert_eq!(faults(&api), ["slow", "both"]);
    for fault in api.controller().proxy("p").unwrap().injected {
        assert_eq!((&fault.attributes["latency"], fault.toxicity), (&json!(0), 1.0));
    }
    api.check(&[("POST /proxies/p", r#"{"enabled":false}"#, 200, "*")]);
    assert!(faults(&api).is_empty());
}

#[test]
fn sabots_own_routes_show_them_with_their_owner() {
    let (api, _) = injected();
    for (name, stream) in [("mine", "downstream"), ("both", "upstream")] {
        let toxic = json!({"type": "noop", "name": name, "stream": stream});
        assert_eq!(api.call("POST /v1/proxies/p/toxics", &toxic.to_string()).status, 201);
    }
    let fault = spec(json!({"type": "latency", "name": "up", "stream": "upstream"}));
    api.controller().inject("p", "i-2", fault).unwrap();
    let expected = [
        ("both", "toxic"),
        ("up", "injection i-2"),
        ("mine", "toxic"),
        ("slow", "injection i-1"),
        ("both", "injection i-1"),
    ];
    let listed = api.call("GET /v1/proxies/p/toxics", "").json()["toxics"].clone();
    assert_eq!(api.call("GET /v1/proxies/p", "").json()["toxics"], listed);
    assert_eq!(api.call("GET /v1/proxies", "").json()["proxies"][0]["toxics"], listed);
    let seen: Vec<_> = listed.as_array().unwrap().iter().map(|it| (&it["name"], &it["owner"])).collect();
    assert_eq!(json!(seen), json!(expected));

    let owned = r#"{"error":"`slow` belongs to injection i-1: end it with `sabot revert i-1`","status":409}"#;
    api.check(&[
        ("GET /v1/proxies/p/toxics/slow", "", 200, r#"{"name":"slow",*"owner":"injection i-1"}"#),
        ("PATCH /v1/proxies/p/toxics/slow", r#"{"toxicity":0}"#, 409, owned),
        ("PATCH /v1/proxies/p/toxics/slow", r#"{"when":{"first":1}}"#, 409, owned),
        ("DELETE /v1/proxies/p/toxics/slow", "", 409, owned),
        ("POST /v1/proxies/p/toxics/slow", "", 405, "*"),
        // Of two of one name it is people's that is meant.
        ("GET /v1/proxies/p/toxics/both", "", 200, r#"*"owner":"toxic"}"#),
        ("DELETE /v1/proxies/p/toxics/both", "", 204, ""),
        ("GET /v1/proxies/p/toxics/both", "", 200, r#"*"owner":"injection i-1"}"#),
        ("DELETE /v1/proxies/p/toxics/none", "", 404, "*"),
        ("POST /v1/reset", "", 204, ""),
        ("GET /v1/proxies/p/toxics/mine", "", 404, "*"),
    ]);
    assert_eq!(faults(&api), ["up", "slow", "both"]);
}
