//! What guards a fault, and what it is compared with.

use super::*;

/// Creates an HTTP proxy that no injection of these tests means.
async fn with_web(bench: &Bench) {
    let spec = ProxySpec { protocol: sabot_proxy::Protocol::Http, ..ProxySpec::new("web", "127.0.0.1:9") };
    bench.controller.create(spec).await.unwrap();
}

#[tokio::test]
async fn the_servers_limits_look_at_requests_alone() {
    let limits = Limits { error_rate: Some(0.05), ..Limits::default() };
    let bench = Bench::new(None, OnRestart::Resume, Settings { limits, ..Settings::default() }).await;
    with_web(&bench).await;
    let id = bench.inject(|it| it["steady_state"]["slo"] = json!("success")).await.unwrap().id;
    let guards = bench.engine.guards(&bench.engine.known(&id).unwrap()).into_iter();
    let told: Vec<_> = guards.map(|(guard, _)| (guard.objective.slo, guard.source)).collect();
    let told: Vec<_> = told.iter().map(|(slo, source)| (slo.as_str(), source.as_str())).collect();
    let expected =
        [("success", "what south-a, south-b saw"), ("the server's limit of good requests", "what web saw")];
    assert_eq!(told, expected, "`north` relays bytes");
}
