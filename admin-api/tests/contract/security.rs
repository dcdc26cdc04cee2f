//! Programs pass, web pages do not.

use sabot_admin_api::ApiOptions;

use crate::api::Api;

#[test]
fn names_under_which_the_api_is_really_used_pass() {
    let api = Api::start();
    for host in
        ["localhost:8474", "127.0.0.1", "[::1]:8474", "toxiproxy:8474", "chaos.svc.cluster.local", "ci.test"]
    {
        let answer = api.raw(&format!("GET /version HTTP/1.1\nHost: {host}\nConnection: close\n\n"));
        assert_eq!(answer.status, 200, "{host}: {}", answer.body);
    }
    assert_eq!(api.raw("GET /version HTTP/1.0\n\n").status, 200);
}

#[test]
fn a_name_that_was_rebound_is_refused_on_every_route() {
    let api = Api::start();
    for path in ["/version", "/proxies", "/metrics", "/v1/proxies", "/nothing"] {
        let answer =
            api.raw(&format!("GET {path} HTTP/1.1\nHost: evil.example.com:8474\nConnection: close\n\n"));
        let expected = r#"{"error":"host \"evil.example.com\" is not allowed: start sabot with --allowed-host=evil.example.com","status":403}"#;
        assert_eq!((answer.status, answer.body.as_str()), (403, expected), "{path}");
        assert!(answer.header("x-toxiproxy-request-id").is_some());
    }
    let allowed = ApiOptions { allowed_hosts: vec!["ci.example.com".to_owned()], ..ApiOptions::default() };
    let api = Api::with(allowed);
    assert_eq!(
        api.raw("GET /version HTTP/1.1\nHost: ci.example.com:8474\nConnection: close\n\n").status,
        200
    );
}

#[test]
fn requests_across_origins_are_refused() {
    let api = Api::with_redis();
    let own = format!("http://{}", api.address);
    for (origin, status) in [(own.as_str(), 204), ("https://evil.example.com", 403), ("null", 403)] {
        let answer = api.call_with("POST /reset", &[("Origin", origin)], "");
        // What a page may send without asking first must be refused as well.
        assert_eq!(answer.status == 403, status == 403, "{origin}: {}", answer.body);
    }
    let preflight = api.call_with("OPTIONS /proxies", &[("Origin", "https://evil.example.com")], "");
    assert_eq!(preflight.status, 403);
    assert!(preflight.header("access-control-allow-origin").is_none());
}

#[test]
fn browsers_are_refused_and_clients_are_not() {
    let api = Api::start();
    for (agent, status) in [
        ("Mozilla/5.0 (X11; Linux x86_64)", 403),
        ("toxiproxy-cli/v2.12.0 (linux/amd64)", 200),
        ("toxiproxy-cli/v (os/arch)", 200),
        ("Java/17.0.1", 200),
        ("", 200),
    ] {
        for path in ["/proxies", "/v1/proxies", "/version"] {
            let answer = api.call_with(&format!("GET {path}"), &[("User-Agent", agent)], "");
            assert_eq!(answer.status, status, "{agent} on {path}");
        }
    }
}
