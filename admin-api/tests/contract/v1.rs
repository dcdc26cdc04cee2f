//! Sabot's own routes: what they answer.

use serde_json::json;

use crate::api::Api;

#[test]
fn who_answers() {
    let answer = Api::start().call("GET /v1/version", "");
    assert_eq!(answer.body, r#"{"version":"0.1.0","toxiproxy_version":"2.12.0","seed":7}"#);
}

#[test]
fn the_life_of_a_proxy() {
    let api = Api::start();
    let asked = r#"{"name":"redis","listen":"localhost:26379","upstream":"localhost:6379","enabled":false}"#;
    let shown = |upstream: &str| {
        format!(
            r#"{{"name":"redis","listen":"localhost:26379","upstream":"{upstream}","protocol":"tcp","enabled":false,"toxics":[],"connections":{{"open":0,"total":0}}}}"#
        )
    };
    let redis = shown("localhost:6379");
    api.check(&[
        ("GET /v1/proxies", "", 200, r#"{"proxies":[]}"#),
        ("POST /v1/proxies", asked, 201, &redis),
        ("POST /v1/proxies", asked, 409, r#"{"error":"*redis*","status":409}"#),
        ("GET /v1/proxies/redis", "", 200, &redis),
        ("GET /v1/proxies", "", 200, &format!(r#"{{"proxies":[{redis}]}}"#)),
        ("PATCH /v1/proxies/redis", r#"{"upstream":"u:1"}"#, 200, &shown("u:1")),
        ("PATCH /v1/proxies/redis", r#"{"upstream":null}"#, 200, &shown("u:1")),
        ("DELETE /v1/proxies/redis", "", 204, ""),
        ("GET /v1/proxies/redis", "", 404, r#"{"error":"*redis*","status":404}"#),
        ("DELETE /v1/proxies/redis", "", 404, r#"{"error":"*redis*","status":404}"#),
    ]);
}

#[test]
fn a_proxy_of_requests_may_cap_its_faults() {
    let api = Api::start();
    let body = |rest: &str| format!(r#"{{"name":"p","upstream":"u:1","enabled":false,{rest}}}"#);
    for route in ["POST /v1/proxies", "POST /proxies"] {
        api.check(&[
            (
                route,
                &body(r#""protocol":"http","max_active_faults":0"#),
                400,
                "*max_active_faults: must be at least 1*",
            ),
            (route, &body(r#""max_active_faults":5"#), 400, "*max_active_faults: counts requests*"),
            (route, &body(r#""protocol":"http","max_active_faults":1.5"#), 400, "*"),
            (route, &body(r#""protocol":"http","max_active_faults":5"#), 201, "*"),
            ("GET /v1/proxies/p", "", 200, "*\"protocol\":\"http\",\"max_active_faults\":5,*"),
            ("DELETE /v1/proxies/p", "", 204, ""),
            (route, &body(r#""host_rewrite":"a""#), 400, "*host_rewrite: changes requests*"),
            (route, &body(r#""x_forwarded_for":true"#), 400, "*x_forwarded_for: changes requests*"),
            (
                route,
                &body(r#""protocol":"http","host_rewrite":"u@a""#),
                400,
                "*host_rewrite: `u@a` has a user*",
            ),
            (route, &body(r#""protocol":"http","x_forwarded_for":1"#), 400, "*x_forwarded_for*"),
            (route, &body(r#""protocol":"http","host_rewrite":"a:1","x_forwarded_for":true"#), 201, "*"),
            ("GET /v1/proxies/p", "", 200, "*\"host_rewrite\":\"a:1\",\"x_forwarded_for\":true,*"),
            ("DELETE /v1/proxies/p", "", 204, ""),
        ]);
    }
}

#[test]
fn a_proxy_comes_with_its_toxics_or_not_at_all() {
    let api = Api::start();
    let body = |attributes: &str| {
        format!(
            r#"{{"name":"p","upstream":"u:1","enabled":false,"toxics":[{{"type":"noop"}},{{"type":"latency","attributes":{attributes}}}]}}"#
        )
    };
    api.check(&[
        ("POST /v1/proxies", &body(r#"{"latncy":1}"#), 400, r#"*"field":"toxics[1].attributes.latncy"}"#),
        ("GET /v1/proxies", "", 200, r#"{"proxies":[]}"#),
        (
            "POST /v1/proxies",
            &body(r#"{"latency":"1.5s"}"#),
            201,
            "*\"name\":\"noop_downstream\"*\"latency\":1500*",
        ),
    ]);
}

#[test]
fn the_life_of_a_toxic() {
    let api = Api::with_redis();
    let asked = json!({
        "type": "latency",
        "name": "slow",
        "stream": "upstream",
        "toxicity": 0.3,
        "attributes": { "latency": "250us" },
        "when": { "first": 10, "clients": ["10.0.0.0/8"] },
    });
    let added = api.call("POST /v1/proxies/redis/toxics", &asked.to_string());
    assert_eq!(added.status, 201, "{}", added.body);
    let toxic = added.json();
    for (field, value) in [
        ("name", json!("slow")),
        ("type", json!("latency")),
        ("stream", json!("upstream")),
        ("toxicity", json!(0.3)),
        ("applied", json!(0)),
        ("expires_in_ms", json!(null)),
        ("owner", json!("toxic")),
    ] {
        assert_eq!(toxic[field], value, "{field} in {toxic}");
    }
    assert_eq!(toxic["attributes"]["latency"], 0.25);
    assert_eq!(toxic["attributes"]["distribution"], "uniform");
    assert_eq!(toxic["when"], json!({ "first": 10, "clients": ["10.0.0.0/8"] }));

    let slow = "/v1/proxies/redis/toxics/slow";
    api.check(&[
        ("GET /v1/proxies/redis/toxics", "", 200, &format!(r#"{{"toxics":[{}]}}"#, added.body)),
        (&format!("GET {slow}"), "", 200, &added.body),
        ("POST /v1/proxies/redis/toxics", &asked.to_string(), 409, r#"{"error":"*slow*","status":409}"#),
        (&format!("PATCH {slow}"), r#"{"attributes":{"jitter":2}}"#, 200, "*\"latency\":0.25,\"jitter\":2*"),
        (&format!("PATCH {slow}"), r#"{"attributes":{"latency":null}}"#, 200, "*\"latency\":0,\"jitter\":2*"),
        (&format!("PATCH {slow}"), r#"{"when":{"every":2}}"#, 200, r#"*"every":2*"#),
        (
            &format!("PATCH {slow}"),
            r#"{"when":{"first":null,"clients":null}}"#,
            200,
            r#"*"when":{"every":2}*"#,
        ),
        (&format!("PATCH {slow}"), r#"{"toxicity":1}"#, 200, "*\"toxicity\":1.0*"),
        ("POST /v1/reset", "", 204, ""),
        (&format!("GET {slow}"), "", 404, r#"{"error":"*slow*","status":404}"#),
        (&format!("DELETE {slow}"), "", 404, r#"{"error":"*slow*","status":404}"#),
    ]);
}

#[test]
fn a_patch_leaves_what_it_does_not_name() {
    let api = Api::start();
    let proxy = r#"{"name":"p","protocol":"http","upstream":"localhost:1","enabled":false}"#;
    let toxic = r#"{"type":"header","name":"h","attributes":{"headers":{"x-a":"1"},"match":{"path":"/a"}}}"#;
    let user = r#"{"attributes":{"match":{"headers":{"x-user":7}}}}"#;
    api.check(&[
        ("POST /v1/proxies", proxy, 201, "*"),
        ("POST /v1/proxies/p/toxics", toxic, 201, "*"),
        ("PATCH /v1/proxies/p/toxics/h", user, 200, r#"*"match":{"path":"/a","headers":{"x-user":"7"}}*"#),
        // Toxiproxy decodes into the map that is there, so keys stay there too.
        ("POST /proxies/p/toxics/h", r#"{"attributes":{"headers":{"X-B":"2"}}}"#, 200, "*"),
        ("POST /proxies/p/toxics/h", r#"{"attributes":{"match":{"path":{"prefix":"/b"}}}}"#, 200, "*"),
        (
            "GET /v1/proxies/p/toxics/h",
            "",
            200,
            r#"*"headers":{"x-a":"1","x-b":"2"},"match":{"path":{"prefix":"/b"},"headers":{"x-user":"7"}}*"#,
        ),
    ]);
}

#[test]
fn an_expiry_is_told() {
    let api = Api::with_redis();
    let body = r#"{"type":"latency","when":{"expires_after":"1m"}}"#;
    let toxic = api.call("POST /v1/proxies/redis/toxics", body).json();
    let left = toxic["expires_in_ms"].as_f64().unwrap();
    assert!((30_000.0..=60_000.0).contains(&left), "{toxic}");
}

#[test]
fn the_catalog_is_served() {
    let api = Api::start();
    let kinds = api.call("GET /v1/kinds", "").json();
    let kinds = kinds["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), sabot_toxics::kinds().len());
    for kind in kinds {
        let name = kind["kind"].as_str().unwrap();
        let one = api.call(&format!("GET /v1/kinds/{name}"), "");
        assert_eq!(&one.json(), kind);
        assert!(kind["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name}");
        assert_eq!(kind["schema"]["type"], "object", "{name}");
        assert!(matches!(kind["phase"].as_str(), Some("stream" | "connect" | "tls" | "http")), "{name}");
    }
    let latency = api.call("GET /v1/kinds/latency", "").json();
    assert_eq!(latency["toxiproxy"], true);
    api.check(&[("GET /v1/kinds/latncy", "", 404, r#"{"error":"*did you mean `latency`?","status":404}"#)]);
}

#[test]
fn both_apis_see_the_same_proxies() {
    let api = Api::with_redis();
    api.check(&[
        ("POST /proxies/redis/toxics", r#"{"type":"latency","toxicity":80}"#, 200, "*"),
        ("GET /v1/proxies/redis/toxics/latency_downstream", "", 200, "*\"toxicity\":1.0*"),
        ("DELETE /v1/proxies/redis/toxics/latency_downstream", "", 204, ""),
        ("GET /proxies/redis/toxics", "", 200, "[]"),
    ]);
}
