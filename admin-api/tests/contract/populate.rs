//! Populate: all or nothing, and equal proxies left alone.

use crate::api::Api;

#[test]
fn answers_hold_the_proxies_in_the_order_asked() {
    let (a, b) = (
        r#"{"name":"b","listen":"localhost:1","upstream":"u:1","enabled":false"#,
        r#"{"name":"a","listen":"localhost:2","upstream":"u:2","enabled":false"#,
    );
    Api::start().check(&[
        ("POST /populate", "[]", 201, r#"{"proxies":[]}"#),
        (
            "POST /populate",
            &format!("[{a}}},{b}}}]"),
            201,
            &format!(r#"{{"proxies":[{a},"toxics":[]}},{b},"toxics":[]}}]}}"#),
        ),
    ]);
}

#[test]
fn an_equal_proxy_keeps_its_toxics_and_a_different_one_is_replaced() {
    for body in [
        r#"[{"name":"redis","listen":"localhost:26379","upstream":"localhost:6379","enabled":false}]"#,
        r#"[{"name":"redis","listen":"localhost:26379","upstream":"localhost:6379","enabled":false,"toxics":null}]"#,
        r#"[{"name":"redis","listen":"localhost:26379","upstream":"localhost:6379","enabled":false,"toxics":[]}]"#,
    ] {
        let api = Api::with_redis();
        api.check(&[
            ("POST /proxies/redis/toxics", r#"{"type":"noop"}"#, 200, "*"),
            ("POST /populate", body, 201, r#"{"proxies":[*"name":"noop_downstream"*]}"#),
            (
                "POST /populate",
                &body.replace("localhost:6379", "other:6379"),
                201,
                r#"{"proxies":[*"upstream":"other:6379"*"toxics":[]}]}"#,
            ),
        ]);
    }
}

#[test]
fn one_bad_entry_and_nothing_is_made() {
    let good = r#"{"name":"good","upstream":"u:1","listen":"127.0.0.1:0"}"#;
    for (bad, error) in [
        ("{}", "missing required field: name at proxy 2"),
        ("null", "missing required field: name at proxy 2"),
        (r#"{"upstream":"u:1"}"#, "missing required field: name at proxy 2"),
        (r#"{"name":"p"}"#, "missing required field: upstream at proxy 2"),
        (r#"{"name":"p","upstream":""}"#, "missing required field: upstream at proxy 2"),
        (r#"{"name":1,"upstream":"u:1"}"#, "bad request body: *"),
        ("5", "bad request body: *"),
    ] {
        Api::start().check(&[
            (
                "POST /populate",
                &format!("[{good},{bad}]"),
                400,
                &format!(r#"{{"error":"{error}","status":400*}}"#),
            ),
            ("GET /proxies", "", 200, "{}"),
        ]);
    }
    Api::start().check(&[
        ("POST /populate", "", 400, r#"{"error":"bad request body: EOF","status":400}"#),
        ("POST /populate", good, 400, r#"{"error":"bad request body: *","status":400}"#),
    ]);
}
