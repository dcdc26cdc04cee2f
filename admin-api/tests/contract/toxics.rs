//! Toxics on the Toxiproxy routes.

use crate::api::Api;

const TOXICS: &str = "POST /proxies/redis/toxics";

#[test]
fn every_attribute_is_answered_and_whole() {
    for (asked, attributes) in [
        (r#""type":"latency""#, r#"{"latency":0,"jitter":0}"#),
        (r#""type":"latency","attributes":{"latency":100,"jitter":5}"#, r#"{"latency":100,"jitter":5}"#),
        (r#""type":"latency","attributes":{"latency":100.0}"#, r#"{"latency":100,"jitter":0}"#),
        (r#""type":"bandwidth""#, r#"{"rate":0}"#),
        (r#""type":"bandwidth","attributes":{"rate":1000}"#, r#"{"rate":1000}"#),
        (r#""type":"slow_close","attributes":{"delay":1000}"#, r#"{"delay":1000}"#),
        (r#""type":"timeout""#, r#"{"timeout":0}"#),
        (r#""type":"timeout","attributes":{"timeout":2147483647}"#, r#"{"timeout":2147483647}"#),
        (r#""type":"reset_peer","attributes":{"timeout":1}"#, r#"{"timeout":1}"#),
        (r#""type":"slicer""#, r#"{"average_size":0,"size_variation":0,"delay":0}"#),
        (
            r#""type":"slicer","attributes":{"average_size":64,"size_variation":32,"delay":10}"#,
            r#"{"average_size":64,"size_variation":32,"delay":10}"#,
        ),
        (r#""type":"limit_data","attributes":{"bytes":1048576}"#, r#"{"bytes":1048576}"#),
        (r#""type":"packet_loss""#, r#"{"loss_rate":0.1,"correlation":0}"#),
        (
            r#""type":"packet_loss","attributes":{"loss_rate":1,"correlation":0.25}"#,
            r#"{"loss_rate":1,"correlation":0.25}"#,
        ),
        (r#""type":"noop""#, "{}"),
        // What Sabot knows and Toxiproxy does not is taken, and not shown.
        (
            r#""type":"latency","attributes":{"latency":1,"distribution":"normal"}"#,
            r#"{"latency":1,"jitter":0}"#,
        ),
    ] {
        let api = Api::with_redis();
        let kind = asked.split('"').nth(3).unwrap();
        let toxic = format!(
            r#"{{"attributes":{attributes},"name":"{kind}_downstream","type":"{kind}","stream":"downstream","toxicity":1}}"#
        );
        api.check(&[
            (TOXICS, &format!("{{{asked}}}"), 200, &toxic),
            (&format!("GET /proxies/redis/toxics/{kind}_downstream"), "", 200, &toxic),
            ("GET /proxies/redis/toxics", "", 200, &format!("[{toxic}]")),
            ("GET /proxies/redis", "", 200, &format!("*\"toxics\":[{toxic}]}}")),
            ("GET /proxies", "", 200, &format!("*\"toxics\":[{toxic}]}}}}")),
            (&format!("DELETE /proxies/redis/toxics/{kind}_downstream"), "", 204, ""),
            ("GET /proxies/redis/toxics", "", 200, "[]"),
        ]);
    }
}

#[test]
fn names_are_unique_over_both_directions() {
    let api = Api::with_redis();
    let exists = r#"{"error":"toxic already exists","status":409}"#;
    api.check(&[
        (TOXICS, r#"{"type":"latency","stream":"upstream"}"#, 200, "*\"name\":\"latency_upstream\"*"),
        (TOXICS, r#"{"type":"latency"}"#, 200, "*\"name\":\"latency_downstream\"*"),
        (TOXICS, r#"{"type":"latency"}"#, 409, exists),
        (TOXICS, r#"{"type":"noop","name":"latency_upstream"}"#, 409, exists),
    ]);
}

#[test]
fn a_listing_gives_the_upstream_chain_first() {
    let api = Api::with_redis();
    for (name, stream) in [("d1", "downstream"), ("u1", "upstream"), ("d2", "downstream"), ("u2", "upstream")]
    {
        let body = format!(r#"{{"type":"noop","name":"{name}","stream":"{stream}"}}"#);
        assert_eq!(api.call(TOXICS, &body).status, 200);
    }
    let toxics = api.call("GET /proxies/redis/toxics", "").json();
    let names: Vec<_> =
        toxics.as_array().unwrap().iter().map(|toxic| toxic["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["u1", "u2", "d1", "d2"]);
}

#[test]
fn an_update_changes_attributes_and_toxicity_only() {
    let api = Api::with_redis();
    let shown = |latency: u32, jitter: u32, toxicity: &str| {
        let attributes = format!(r#"{{"latency":{latency},"jitter":{jitter}}}"#);
        format!(
            r#"{{"attributes":{attributes},"name":"slow","type":"latency","stream":"upstream","toxicity":{toxicity}}}"#
        )
    };
    let slow = "/proxies/redis/toxics/slow";
    let (post, patch) = (format!("POST {slow}"), format!("PATCH {slow}"));
    api.check(&[
        (
            TOXICS,
            r#"{"name":"slow","type":"latency","stream":"upstream","attributes":{"latency":10,"jitter":2}}"#,
            200,
            &shown(10, 2, "1"),
        ),
        (&post, r#"{"attributes":{"latency":20}}"#, 200, &shown(20, 2, "1")),
        (&patch, r#"{"toxicity":0.5}"#, 200, &shown(20, 2, "0.5")),
        (&patch, r#"{"attributes":{"Jitter":7,"latency":null},"toxicity":null}"#, 200, &shown(20, 7, "0.5")),
        (&patch, r#"{"name":"fast","type":"noop","stream":"downstream"}"#, 200, &shown(20, 7, "0.5")),
        (&patch, "{}", 200, &shown(20, 7, "0.5")),
        (
            &patch,
            r#"{"toxicity":0,"attributes":{"latency":1.5}}"#,
            400,
            r#"{"error":"bad request body: attributes.latency: *"#,
        ),
        (
            &patch,
            r#"{"toxicity":0,"attributes":{"latency":-1}}"#,
            400,
            r#"{"error":"bad request body: attributes.latency: *"#,
        ),
        (&format!("GET {slow}"), "", 200, &shown(20, 7, "0.5")),
    ]);
}

#[test]
fn a_reset_removes_every_toxic() {
    let api = Api::start();
    api.check(&[
        ("POST /proxies", r#"{"name":"p","listen":"127.0.0.1:0","upstream":"localhost:1"}"#, 201, "*"),
        ("POST /proxies/p/toxics", r#"{"type":"latency"}"#, 200, "*"),
        ("POST /proxies/p", r#"{"enabled":false}"#, 200, "*"),
        ("POST /reset", "", 204, ""),
        ("GET /proxies/p", "", 200, "*\"enabled\":true,\"toxics\":[]}"),
    ]);
}

#[test]
fn new_kinds_show_only_where_someone_added_them() {
    let api = Api::with_redis();
    api.check(&[
        ("GET /proxies/redis/toxics", "", 200, "[]"),
        ("POST /v1/proxies/redis/toxics", r#"{"type":"corrupt"}"#, 201, "*"),
        (
            "GET /proxies/redis/toxics",
            "",
            200,
            r#"[{"attributes":{*},"name":"corrupt_downstream","type":"corrupt",*}]"#,
        ),
        (TOXICS, r#"{"type":"stall"}"#, 200, r#"{"attributes":{*},"name":"stall_downstream",*}"#),
    ]);
}

#[test]
fn fractions_set_elsewhere_are_shown_whole() {
    let api = Api::with_redis();
    api.check(&[
        (
            "POST /v1/proxies/redis/toxics",
            r#"{"type":"latency","attributes":{"latency":"2600us"}}"#,
            201,
            "*\"latency\":2.6*",
        ),
        ("GET /proxies/redis/toxics", "", 200, r#"[{"attributes":{"latency":3,"jitter":0},*}]"#),
    ]);
}
