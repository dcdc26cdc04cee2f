//! What goes wrong, in Toxiproxy's words.

use crate::api::Api;

const TOXICS: &str = "POST /proxies/redis/toxics";

#[test]
fn messages_and_statuses_are_exact() {
    let bad_stream = r#"{"error":"stream was invalid, can be either upstream or downstream","status":400}"#;
    let bad_type = r#"{"error":"invalid toxic type","status":400}"#;
    let no_proxy = r#"{"error":"proxy not found","status":404}"#;
    let no_toxic = r#"{"error":"toxic not found","status":404}"#;
    let eof = r#"{"error":"bad request body: EOF","status":400}"#;
    let bad = r#"{"error":"bad request body: *","status":400*}"#;
    let no_name = r#"{"error":"missing required field: name","status":400}"#;
    let no_upstream = r#"{"error":"missing required field: upstream","status":400}"#;
    Api::with_redis().check(&[
        ("POST /proxies", "", 400, eof),
        ("POST /proxies", "{", 400, bad),
        ("POST /proxies", "[]", 400, bad),
        ("POST /proxies", "{}", 400, no_name),
        ("POST /proxies", "null", 400, no_name),
        ("POST /proxies", r#"{"upstream":"u:1"}"#, 400, no_name),
        ("POST /proxies", r#"{"name":"","upstream":"u:1"}"#, 400, no_name),
        ("POST /proxies", r#"{"name":null,"upstream":"u:1"}"#, 400, no_name),
        ("POST /proxies", r#"{"name":"p"}"#, 400, no_upstream),
        ("POST /proxies", r#"{"name":"p","upstream":""}"#, 400, no_upstream),
        ("POST /proxies", r#"{"name":5,"upstream":"u:1"}"#, 400, bad),
        ("POST /proxies", r#"{"name":"p","upstream":"u:1","enabled":"yes"}"#, 400, bad),
        ("GET /proxies/none", "", 404, no_proxy),
        ("POST /proxies/none", "{}", 404, no_proxy),
        ("PATCH /proxies/none", "", 404, no_proxy),
        ("PATCH /proxies/redis", "", 400, eof),
        ("PATCH /proxies/redis", r#"{"enabled":1}"#, 400, bad),
        ("GET /proxies/none/toxics", "", 404, no_proxy),
        ("POST /proxies/none/toxics", r#"{"type":"noop"}"#, 404, no_proxy),
        ("GET /proxies/none/toxics/t", "", 404, no_proxy),
        ("PATCH /proxies/none/toxics/t", "{}", 404, no_proxy),
        ("DELETE /proxies/none/toxics/t", "", 404, no_proxy),
        ("GET /proxies/redis/toxics/none", "", 404, no_toxic),
        ("PATCH /proxies/redis/toxics/none", "{}", 404, no_toxic),
        ("DELETE /proxies/redis/toxics/none", "", 404, no_toxic),
        (TOXICS, "", 400, eof),
        (TOXICS, "[]", 400, bad),
        (TOXICS, "{}", 400, bad_type),
        (TOXICS, r#"{"type":""}"#, 400, bad_type),
        (TOXICS, r#"{"type":"unheard_of"}"#, 400, bad_type),
        (TOXICS, r#"{"type":"status_code"}"#, 400, r#"{"error":"bad request body: type: status_code acts on HTTP requests*","status":400,"field":"type"}"#),
        (TOXICS, r#"{"type":"header"}"#, 400, r#"{"error":"bad request body: type: header acts on HTTP requests*","status":400,"field":"type"}"#),
        (TOXICS, r#"{"type":"modify_body"}"#, 400, r#"{"error":"bad request body: type: modify_body acts on HTTP requests*","status":400,"field":"type"}"#),
        (TOXICS, r#"{"type":"latency","stream":"sideways"}"#, 400, bad_stream),
        (TOXICS, r#"{"type":"unheard_of","stream":"sideways"}"#, 400, bad_stream),
        (TOXICS, r#"{"type":"latency","toxicity":"high"}"#, 400, bad),
        (TOXICS, r#"{"type":"latency","toxicity":-1}"#, 400, bad),
        (TOXICS, r#"{"type":"latency","attributes":[1]}"#, 400, bad),
        ("GET /proxies/redis/toxics", "", 200, "[]"),
    ]);
}

#[test]
fn attributes_that_kill_toxiproxy_are_refused_by_name() {
    for (asked, field) in [
        (r#""type":"bandwidth","attributes":{"rate":-1}"#, "rate"),
        (r#""type":"slicer","attributes":{"average_size":1,"size_variation":2}"#, "size_variation"),
        (r#""type":"latency","attributes":{"latency":0.5}"#, "latency"),
        (r#""type":"latency","attributes":{"latency":"250us"}"#, "latency"),
        (r#""type":"latency","attributes":{"jitter":-3}"#, "jitter"),
        (r#""type":"limit_data","attributes":{"bytes":-1}"#, "bytes"),
        (r#""type":"packet_loss","attributes":{"loss_rate":1.5}"#, "loss_rate"),
    ] {
        let expected = format!(
            r#"{{"error":"bad request body: attributes.{field}: *","status":400,"field":"attributes.{field}"}}"#
        );
        Api::with_redis().check(&[
            (TOXICS, &format!("{{{asked}}}"), 400, &expected),
            ("GET /proxies/redis/toxics", "", 200, "[]"),
        ]);
    }
}

#[test]
fn what_cannot_be_bound_is_refused_and_leaves_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let body = format!(r#"{{"name":"p","listen":"{address}","upstream":"u:1"}}"#);
    Api::start().check(&[
        ("POST /proxies", &body, 500, r#"{"error":"*","status":500}"#),
        ("POST /populate", &format!("[{body}]"), 500, r#"{"error":"*","status":500}"#),
        ("POST /v1/proxies", &body, 409, r#"{"error":"failed to listen on *","status":409}"#),
        ("GET /proxies", "", 200, "{}"),
    ]);
}

#[test]
fn unknown_routes_and_methods_fail_in_the_same_form() {
    Api::with_redis().check(&[
        ("GET /", "", 404, r#"{"error":"there is no /","status":404}"#),
        ("GET /nothing", "", 404, r#"{"error":"there is no /nothing","status":404}"#),
        ("GET /proxies/redis/nothing", "", 404, r#"{"error":"*","status":404}"#),
        ("GET /v1/nothing", "", 404, r#"{"error":"*","status":404}"#),
        ("GET /reset", "", 405, r#"{"error":"GET is not allowed on /reset","status":405}"#),
        ("GET /populate", "", 405, r#"{"error":"*","status":405}"#),
        ("PUT /proxies/redis", "{}", 405, r#"{"error":"*","status":405}"#),
        ("DELETE /proxies", "", 405, r#"{"error":"*","status":405}"#),
        ("POST /version", "", 405, r#"{"error":"*","status":405}"#),
        ("GET /proxies/%FF", "", 400, r#"{"error":"*","status":400}"#),
    ]);
}
