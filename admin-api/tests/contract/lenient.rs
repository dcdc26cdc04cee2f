//! What clients write without saying so.

use crate::api::Api;

#[test]
fn bodies_of_every_client_are_read() {
    let proxy = r#"{"name":"p","listen":"localhost:1","upstream":"google.com","enabled":false,"toxics":[]}"#;
    for (_client, body) in [
        ("curl", r#"{"name":"p","listen":"localhost:1","upstream":"google.com","enabled":false}"#),
        (".NET", r#"{"Name":"p","Listen":"localhost:1","Upstream":"google.com","Enabled":false}"#),
        (
            "Ruby",
            r#"{"name":"p","listen":"localhost:1","upstream":"google.com","enabled":false,"toxics":null}"#,
        ),
        ("Go", r#"{"name":"p","listen":"localhost:1","upstream":"google.com","enabled":false,"toxics":[]}"#),
        ("shouting", r#"{"NAME":"p","LISTEN":"localhost:1","UPSTREAM":"google.com","ENABLED":false}"#),
        (
            "newer",
            r#"{"name":"p","listen":"localhost:1","upstream":"google.com","enabled":false,"protocol":"tcp"}"#,
        ),
        (
            "sloppy",
            "\n{\"name\":\"p\",\"listen\":\"localhost:1\",\"upstream\":\"google.com\",\"enabled\":false}\n\n;",
        ),
        (
            "one that read toxics before",
            r#"{"name":"p","listen":"localhost:1","upstream":"google.com","enabled":false,"toxics":[{"type":"x"}]}"#,
        ),
    ] {
        Api::start().check(&[("POST /proxies", body, 201, proxy), ("PATCH /proxies/p", body, 200, proxy)]);
    }
}

#[test]
fn toxics_of_every_client_are_read() {
    let toxic = |name: &str, stream: &str, toxicity: &str| {
        format!(
            r#"{{"attributes":{{"rate":5}},"name":"{name}","type":"bandwidth","stream":"{stream}","toxicity":{toxicity}}}"#
        )
    };
    for (_client, body, expected) in [
        (
            "Node",
            r#"{"type":"bandwidth","attributes":{"rate":5}}"#,
            toxic("bandwidth_downstream", "downstream", "1"),
        ),
        (
            "Ruby",
            r#"{"type":"bandwidth","name":null,"stream":null,"toxicity":null,"attributes":{"rate":5}}"#,
            toxic("bandwidth_downstream", "downstream", "1"),
        ),
        (
            ".NET",
            r#"{"Name":"b","Type":"bandwidth","Stream":"UpStream","Toxicity":80,"Attributes":{"Rate":5}}"#,
            toxic("b", "upstream", "80"),
        ),
        (
            "alias",
            r#"{"type":"bandwidth","direction":"UPSTREAM","attributes":{"rate":5}}"#,
            toxic("bandwidth_upstream", "upstream", "1"),
        ),
        (
            "Rust",
            r#"{"name":"b","type":"bandwidth","stream":"downstream","toxicity":0.3,"attributes":{"rate":5}}"#,
            toxic("b", "downstream", "0.3"),
        ),
        (
            "one that sends everything",
            r#"{"name":"","type":"bandwidth","stream":"","attributes":{"rate":5,"latency":null,"x":1}}"#,
            toxic("bandwidth_downstream", "downstream", "1"),
        ),
    ] {
        let api = Api::start();
        let redis = r#"{"name":"redis","upstream":"localhost:6379","enabled":false}"#;
        api.check(&[
            ("POST /proxies", redis, 201, "*"),
            ("POST /proxies/redis/toxics", body, 200, &expected),
        ]);
    }
}

#[test]
fn the_content_type_is_never_looked_at() {
    for kind in
        ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8", "nonsense"]
    {
        let api = Api::start();
        let body = r#"{"name":"p","upstream":"u:1","enabled":false}"#;
        for (line, body, status) in [
            ("POST /proxies", body, 201),
            ("POST /populate", "[]", 201),
            ("PATCH /proxies/p", "{}", 200),
            ("POST /proxies/p/toxics", r#"{"type":"noop"}"#, 200),
            ("POST /proxies/p/toxics/noop_downstream", "{}", 200),
            ("POST /v1/proxies/p/toxics", r#"{"type":"latency"}"#, 201),
        ] {
            let answer = api.call_with(line, &[("Content-Type", kind)], body);
            assert_eq!(answer.status, status, "{line} as {kind}: {}", answer.body);
        }
    }
}
