//! Labels: set by Sabot's own routes, and left alone by those of Toxiproxy.

use crate::api::Api;

#[test]
fn labels_are_set_at_creation_and_replaced_as_one() {
    let api = Api::start();
    let body = |rest: &str| format!(r#"{{"name":"p","upstream":"u:1","enabled":false{rest}}}"#);
    let many = (0..33).map(|n| format!(r#""k{n}":"""#)).collect::<Vec<_>>().join(",");
    let patch = "PATCH /v1/proxies/p";
    api.check(&[
        ("POST /v1/proxies", &body(r#","labels":{"a b":"c"}"#), 400, r#"*"field":"labels.a b"}"#),
        ("POST /v1/proxies", &body(r#","labels":{"a":"b,c"}"#), 400, r#"*take ',' out*"field":"labels.a"}"#),
        ("POST /v1/proxies", &body(r#","labels":{"a":1}"#), 400, r#"*"field":"labels.a"}"#),
        ("POST /v1/proxies", &body(r#","labels":["a"]"#), 400, r#"*"field":"labels"}"#),
        ("POST /v1/proxies", &body(&format!(r#","labels":{{{many}}}"#)), 400, r#"*"field":"labels"}"#),
        ("GET /v1/proxies", "", 200, r#"{"proxies":[]}"#),
        (
            "POST /v1/proxies",
            &body(r#","labels":{"service":"pay","env":""}"#),
            201,
            r#"*"labels":{"env":"","service":"pay"},*"#,
        ),
        (patch, r#"{"upstream":"u:2"}"#, 200, r#"*"labels":{"env":"","service":"pay"},*"#),
        (patch, r#"{"labels":null}"#, 200, r#"*"labels":{"env":"","service":"pay"},*"#),
        (patch, r#"{"upstream":"u:3","labels":{"-":""}}"#, 400, r#"*"field":"labels.-"}"#),
        ("GET /v1/proxies/p", "", 200, r#"*"upstream":"u:2",*"labels":{"env":"","service":"pay"},*"#),
        (patch, r#"{"labels":{"shard":"south-1"}}"#, 200, r#"*"labels":{"shard":"south-1"},*"#),
        (patch, r#"{"labels":{}}"#, 200, r#"*"enabled":false,"toxics":[],*"#),
    ]);
}

#[test]
fn the_routes_of_toxiproxy_neither_show_nor_lose_them() {
    let api = Api::start();
    let with = r#"{"name":"p","listen":"localhost:1","upstream":"u:1","enabled":false,"labels":{"a":"b"}}"#;
    let without = r#"{"name":"p","listen":"localhost:1","upstream":"u:1","enabled":false,"toxics":[]}"#;
    let labelled = r#"*"labels":{"a":"b"},*"#;
    api.check(&[
        ("POST /v1/proxies", with, 201, labelled),
        ("GET /proxies/p", "", 200, without),
        ("GET /proxies", "", 200, &format!(r#"{{"p":{without}}}"#)),
        ("POST /populate", &format!("[{without}]"), 201, &format!(r#"{{"proxies":[{without}]}}"#)),
        ("POST /proxies/p", r#"{"labels":{"c":"d"}}"#, 200, without),
        ("GET /v1/proxies/p", "", 200, labelled),
        // A client that replaces it knows of no labels, which approvals and scopes hang on.
        (
            "POST /populate",
            r#"[{"name":"p","listen":"localhost:1","upstream":"u:2","enabled":false}]"#,
            201,
            "*",
        ),
        ("GET /v1/proxies/p", "", 200, r#"*"upstream":"u:2",*"labels":{"a":"b"},*"#),
    ]);
}
