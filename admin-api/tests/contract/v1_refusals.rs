//! Sabot's own routes: what they refuse, and that they name the field.

use crate::api::Api;

#[test]
fn unknown_fields_are_named_with_the_nearest_that_exists() {
    let api = Api::with_redis();
    api.check(&[("POST /v1/proxies/redis/toxics", r#"{"type":"latency","name":"slow"}"#, 201, "*")]);
    let (proxies, proxy) = ("POST /v1/proxies", "PATCH /v1/proxies/redis");
    let (toxics, toxic) = ("POST /v1/proxies/redis/toxics", "PATCH /v1/proxies/redis/toxics/slow");
    for (line, body, field, nearest) in [
        (proxies, r#"{"nmae":"p","upstream":"u:1"}"#, "nmae", "name"),
        (proxies, r#"{"Name":"p","upstream":"u:1"}"#, "Name", "name"),
        (proxies, r#"{"name":"p","upstream":"u:1","enable":true}"#, "enable", "enabled"),
        (proxies, r#"{"name":"p","upstream":"u:1","toxics":[{"tpye":"noop"}]}"#, "toxics[0].tpye", "type"),
        (proxy, r#"{"lisen":"localhost:1"}"#, "lisen", "listen"),
        (toxics, r#"{"type":"latency","attribute":{}}"#, "attribute", "attributes"),
        (toxics, r#"{"type":"latency","attributes":{"latncy":1}}"#, "attributes.latncy", "latency"),
        (toxics, r#"{"type":"latency","when":{"evry":2}}"#, "when.evry", "every"),
        (toxics, r#"{"type":"latncy"}"#, "type", "latency"),
        (toxic, r#"{"toxcity":0.5}"#, "toxcity", "toxicity"),
        (toxic, r#"{"attributes":{"jiter":1}}"#, "attributes.jiter", "jitter"),
        (toxic, r#"{"when":{"furst":2}}"#, "when.furst", "first"),
    ] {
        let answer = api.call(line, body);
        assert_eq!(answer.status, 400, "{line} {body}: {}", answer.body);
        let error = answer.json();
        assert_eq!(error["field"], field, "{body}: {}", answer.body);
        let message = error["error"].as_str().unwrap();
        assert!(message.ends_with(&format!("did you mean `{nearest}`?")), "{body}: {message}");
        assert!(message.starts_with(field), "{body}: {message}");
    }
}

#[test]
fn values_that_do_not_fit_are_named() {
    let api = Api::with_redis();
    api.check(&[("POST /v1/proxies/redis/toxics", r#"{"type":"latency","name":"slow"}"#, 201, "*")]);
    let (proxies, proxy) = ("POST /v1/proxies", "PATCH /v1/proxies/redis");
    let (toxics, toxic) = ("POST /v1/proxies/redis/toxics", "PATCH /v1/proxies/redis/toxics/slow");
    for (line, body, field) in [
        (proxies, r#"{"upstream":"u:1"}"#, "name"),
        (proxies, r#"{"name":"","upstream":"u:1"}"#, "name"),
        (proxies, r#"{"name":"p"}"#, "upstream"),
        (proxies, r#"{"name":"p","upstream":"no-port"}"#, "upstream"),
        (proxy, r#"{"upstream":"no-port"}"#, "upstream"),
        (proxies, r#"{"name":5,"upstream":"u:1"}"#, "name"),
        (proxies, r#"{"name":"p","upstream":"u:1","enabled":"yes"}"#, "enabled"),
        (proxies, r#"{"name":"p","upstream":"u:1","toxics":{}}"#, "toxics"),
        (proxy, r#"{"listen":"nowhere at all"}"#, "listen"),
        (toxics, r#"{"name":"t"}"#, "type"),
        (toxics, r#"{"type":"latency","toxicity":1.5}"#, "toxicity"),
        (toxics, r#"{"type":"latency","toxicity":"all"}"#, "toxicity"),
        (toxics, r#"{"type":"latency","stream":"UpStream"}"#, "stream"),
        (toxics, r#"{"type":"latency","attributes":{"latency":"soon"}}"#, "attributes.latency"),
        (toxics, r#"{"type":"latency","attributes":{"latency":-1}}"#, "attributes.latency"),
        (toxics, r#"{"type":"latency","when":{"duty":0.5}}"#, "when.duty"),
        (toxics, r#"{"type":"latency","when":{"clients":["here"]}}"#, "when.clients"),
        (toxics, r#"{"type":"refuse","when":{"after_bytes":1}}"#, "when.after_bytes"),
        (toxic, r#"{"toxicity":80}"#, "toxicity"),
        (toxic, r#"{"toxicity":-0.1}"#, "toxicity"),
        (toxic, r#"{"attributes":{"latency":true}}"#, "attributes.latency"),
        (toxic, r#"{"when":{"every":0}}"#, "when.every"),
    ] {
        let answer = api.call(line, body);
        assert_eq!(answer.status, 400, "{line} {body}: {}", answer.body);
        assert_eq!(answer.json()["field"], field, "{line} {body}: {}", answer.body);
    }
    api.check(&[(
        "GET /v1/proxies/redis/toxics",
        "",
        200,
        r#"{"toxics":[{"name":"slow",*,"applied":0,*}]}"#,
    )]);
}

#[test]
fn bodies_that_are_not_json_say_where() {
    let empty = r#"{"error":"the body is empty: a JSON object is expected","status":400}"#;
    Api::with_redis().check(&[
        ("POST /v1/proxies", "", 400, empty),
        ("PATCH /v1/proxies/redis", " \n", 400, empty),
        (
            "POST /v1/proxies",
            "{\n\"name\": oops}",
            400,
            r#"{"error":"the body is not JSON: *line 2 column *","status":400}"#,
        ),
        ("POST /v1/proxies", "{} {}", 400, r#"{"error":"the body is not JSON: *","status":400}"#),
        ("DELETE /v1/proxies/redis/connections/7", "", 404, r#"{"error":"*","status":404*}"#),
        ("DELETE /v1/proxies/none/connections/7", "", 404, r#"{"error":"*none*","status":404}"#),
        ("DELETE /v1/proxies/redis/connections/x", "", 400, r#"{"error":"*","status":400}"#),
        ("GET /v1/proxies/none/connections", "", 404, r#"{"error":"*none*","status":404}"#),
        ("GET /v1/proxies/none/events", "", 404, r#"{"error":"*none*","status":404}"#),
        ("GET /v1/proxies/none/toxics", "", 404, r#"{"error":"*none*","status":404}"#),
    ]);
}
