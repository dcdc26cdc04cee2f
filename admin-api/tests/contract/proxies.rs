//! Proxies on the Toxiproxy routes.

use crate::api::Api;

#[test]
fn the_life_of_a_proxy() {
    let api = Api::start();
    let redis = r#""name":"redis","listen":"localhost:26379","upstream":"localhost:6379""#;
    let off = format!(r#"{{{redis},"enabled":false,"toxics":[]}}"#);
    api.check(&[
        ("GET /proxies", "", 200, "{}"),
        ("POST /proxies", &format!(r#"{{{redis},"enabled":false}}"#), 201, &off),
        ("GET /proxies/redis", "", 200, &off),
        ("GET /proxies", "", 200, &format!(r#"{{"redis":{off}}}"#)),
        (
            "POST /proxies",
            &format!(r#"{{{redis},"enabled":false}}"#),
            409,
            r#"{"error":"proxy already exists","status":409}"#,
        ),
        ("DELETE /proxies/redis", "", 204, ""),
        ("GET /proxies/redis", "", 404, r#"{"error":"proxy not found","status":404}"#),
        ("DELETE /proxies/redis", "", 404, r#"{"error":"proxy not found","status":404}"#),
    ]);
}

#[test]
fn a_listing_is_sorted_by_name() {
    let api = Api::start();
    for name in ["zeta", "alpha", "Beta", "ä", "alpha2"] {
        let body = format!(r#"{{"name":"{name}","upstream":"u:1","enabled":false}}"#);
        assert_eq!(api.call("POST /proxies", &body).status, 201);
    }
    let listing = api.call("GET /proxies", "").body;
    let at = |name: &str| listing.find(&format!("\"{name}\":{{")).unwrap();
    let places: Vec<_> = ["Beta", "alpha", "alpha2", "zeta", "ä"].into_iter().map(at).collect();
    assert!(places.is_sorted(), "{listing}");
}

#[test]
fn a_free_port_unless_listen_is_given() {
    for listen in ["", r#""listen":null,"#, r#""listen":"","#] {
        let api = Api::start();
        let body = format!(r#"{{"name":"p",{listen}"upstream":"localhost:6379"}}"#);
        let created = api.call("POST /proxies", &body);
        assert_eq!(created.status, 201, "{body}: {}", created.body);
        let listen = created.json()["listen"].as_str().unwrap().to_owned();
        let port: u16 =
            listen.strip_prefix("[::]:").or(listen.strip_prefix("0.0.0.0:")).unwrap().parse().unwrap();
        assert_ne!(port, 0);
    }
}

#[test]
fn the_resolved_address_stays_over_disable_and_enable() {
    let api = Api::start();
    let created =
        api.call("POST /proxies", r#"{"name":"p","listen":"localhost:0","upstream":"localhost:6379"}"#);
    let shown = |enabled: bool| {
        let listen = created.json()["listen"].clone();
        format!(
            r#"{{"name":"p","listen":{listen},"upstream":"localhost:6379","enabled":{enabled},"toxics":[]}}"#
        )
    };
    assert_eq!(created.body, shown(true));
    assert!(created.body.contains("127.0.0.1:"));
    api.check(&[
        ("POST /proxies/p", r#"{"enabled":false}"#, 200, &shown(false)),
        ("PATCH /proxies/p", r#"{"enabled":true}"#, 200, &shown(true)),
        ("PATCH /proxies/p", r#"{"enabled":false}"#, 200, &shown(false)),
        ("POST /reset", "", 204, ""),
        ("GET /proxies/p", "", 200, &shown(true)),
    ]);
}

#[test]
fn an_update_merges_what_is_given() {
    let api = Api::with_redis();
    let shown = |listen: &str, upstream: &str| {
        format!(
            r#"{{"name":"redis","listen":"{listen}","upstream":"{upstream}","enabled":false,"toxics":[]}}"#
        )
    };
    for (line, body, expected) in [
        ("PATCH /proxies/redis", "{}", shown("localhost:26379", "localhost:6379")),
        ("PATCH /proxies/redis", "null", shown("localhost:26379", "localhost:6379")),
        ("PATCH /proxies/redis", r#"{"upstream":"u:1"}"#, shown("localhost:26379", "u:1")),
        ("POST /proxies/redis", r#"{"listen":"localhost:26380"}"#, shown("localhost:26380", "u:1")),
        (
            "POST /proxies/redis",
            r#"{"name":"other","toxics":[],"listen":null}"#,
            shown("localhost:26380", "u:1"),
        ),
    ] {
        api.check(&[(line, body, 200, &expected)]);
    }
}

#[test]
fn whatever_can_be_created_can_be_addressed() {
    for (name, path) in [
        ("a:b@c", "a:b@c"),
        ("a:b@c", "a%3Ab%40c"),
        ("two words", "two%20words"),
        ("two+words", "two+words"),
        ("a/b", "a%2Fb"),
        ("a/b", "a%2fb"),
        ("toxics", "toxics"),
        ("naïve ☃", "na%C3%AFve%20%E2%98%83"),
        ("naïve", "naïve"),
        ("100%", "100%25"),
        ("a?b#c", "a%3Fb%23c"),
        ("{proxy}", "{proxy}"),
        ("..", "%2E%2E"),
        ("quo\\\"te", "quo%22te"),
    ] {
        let api = Api::start();
        let proxy = format!(
            r#"{{"name":"{name}","listen":"localhost:1","upstream":"u:1","enabled":false,"toxics":[]}}"#
        );
        let toxic = format!(
            r#"{{"attributes":{{}},"name":"{name}","type":"noop","stream":"downstream","toxicity":1}}"#
        );
        let one = format!("/proxies/{path}");
        let its_toxic = format!("{one}/toxics/{path}");
        api.check(&[
            ("POST /proxies", &proxy, 201, &proxy),
            (&format!("GET {one}"), "", 200, &proxy),
            (&format!("POST {one}/toxics"), &format!(r#"{{"name":"{name}","type":"noop"}}"#), 200, &toxic),
            (&format!("GET {its_toxic}"), "", 200, &toxic),
            (&format!("POST {its_toxic}"), "{}", 200, &toxic),
            (&format!("DELETE {its_toxic}"), "", 204, ""),
            (&format!("GET /v1{one}"), "", 200, "*"),
            (&format!("DELETE {one}"), "", 204, ""),
        ]);
    }
}
