//! What may be asked for, and what waits.

use super::*;
use crate::rules::{Closed, Span};

#[tokio::test]
async fn the_cap_bounds_how_many_are_hit() {
    let bench = Bench::plain().await;
    let injection =
        bench.inject(|it| it["target"] = json!({"service": "payments", "max_pods": 1})).await.unwrap();
    assert_eq!((injection.targets.len(), injection.matched), (1, 3));
    assert_eq!(bench.on(), injection.targets);
}

#[tokio::test]
async fn two_do_not_meet_and_one_waits_for_the_other() {
    let bench = Bench::plain().await;
    let first = bench.inject(|_| {}).await.unwrap();
    let refused = bench.inject(|_| {}).await.unwrap_err().to_string();
    for part in [&first.id, "payments-oncall@example.com", "ends by 2027-01-15T08:04:00"] {
        assert!(refused.contains(part), "{refused}");
    }
    let other = bench.inject(|it| it["target"]["selector"] = json!("shard=north")).await.unwrap();
    assert_eq!(other.state, State::Running);
    let waits = bench.inject(|it| it["queue"] = json!(true)).await.unwrap();
    assert_eq!(waits.state, State::Approved);

    let mut changes = bench.engine.changes();
    bench.engine.revert(&first.id, &ann()).await.unwrap();
    while bench.engine.injection(&waits.id).unwrap().state != State::Running {
        changes.recv().await.unwrap();
    }
    let halted = bench.engine.halt(&ann(), &Selector::default()).await.unwrap();
    assert_eq!((halted.reverted.len(), halted.out_of_scope), (2, 0));
    assert_eq!(bench.on(), [""; 0]);
}

#[tokio::test]
async fn what_no_proxy_can_have_is_refused_before_anything_is_kept() {
    let bench = Bench::plain().await;
    let http = |it: &mut Value| it["fault"] = json!({"type": "http_abort", "status": 503});
    let refused = bench.inject(http).await.unwrap_err().to_string();
    assert!(refused.starts_with("fault.type: http_abort acts on HTTP requests"), "{refused}");
    assert_eq!(bench.actions(), ["server.started"]);
    assert_eq!(bench.engine.injections().len(), 0);
}

#[tokio::test]
async fn a_slip_in_an_indicators_name_is_refused_where_some_are_configured() {
    let slos = BTreeMap::from([("writes".to_owned(), Slo::Seen(OwnView::default()))]);
    let bench = Bench::new(None, OnRestart::Resume, Settings { slos, ..Settings::default() }).await;
    let refused =
        bench.inject(|it| it["steady_state"]["slo"] = json!("write")).await.unwrap_err().to_string();
    assert!(refused.contains("did you mean `writes`"), "{refused}");
    for known in ["writes", "p99_ms"] {
        let id = bench.inject(|it| it["steady_state"]["slo"] = json!(known)).await.unwrap().id;
        bench.engine.revert(&id, &ann()).await.unwrap();
    }
}

#[tokio::test]
async fn bounds_that_mean_nothing_are_refused() {
    let bench = Bench::plain().await;
    for (slo, min, told) in
        [("writes", 2.0, "is a share"), ("success", -0.5, "is a share"), ("p99_ms", -1.0, "milliseconds")]
    {
        let steady = json!({"slo": slo, "min": min, "abort_after": 60});
        let refused = bench.inject(|it| it["steady_state"] = steady).await.unwrap_err().to_string();
        assert!(refused.contains("steady_state.min") && refused.contains(told), "{slo}: {refused}");
    }
    let never: Recurrence = "0 0 30 2 *".parse().unwrap();
    let refused = bench.engine.add_schedule("never".to_owned(), never, asked(|_| {})).await.unwrap_err();
    assert!(refused.to_string().contains("never comes"), "{refused}");
}

#[tokio::test]
async fn a_schedule_is_refused_for_what_an_injection_would_be() {
    let slos = BTreeMap::from([("writes".to_owned(), Slo::Seen(OwnView::default()))]);
    let bench = Bench::new(None, OnRestart::Resume, Settings { slos, ..Settings::default() }).await;
    let add = async |asked: Asked| {
        let when: Recurrence = "@every 6h".parse().unwrap();
        bench.engine.add_schedule("nightly".to_owned(), when, asked).await
    };
    for (asked, field, told) in [
        (asked(|it| it["steady_state"]["slo"] = json!("write")), "steady_state.slo", "did you mean `writes`"),
        (asked(|it| it["steady_state"]["min"] = json!(5)), "steady_state.min", "is a share"),
        (
            asked(|it| it["fault"] = json!({"type": "http_abort", "status": 503})),
            "fault.type",
            "acts on HTTP requests",
        ),
    ] {
        let refused = add(asked).await.unwrap_err().to_string();
        assert!(refused.starts_with(&format!("injection.{field}: ")) && refused.contains(told), "{refused}");
    }
    assert_eq!(bench.actions(), ["server.started"]);
    // Its proxies may come later.
    let warning = add(asked(|it| it["target"]["service"] = json!("paymnts"))).await.unwrap().unwrap();
    assert!(
        warning.contains("no proxy belongs to it") && warning.contains("did you mean `payments`"),
        "{warning}"
    );
    bench.engine.remove_schedule("nightly", &ann()).await.unwrap();
    assert_eq!(add(asked(|_| {})).await.unwrap(), None);
}

#[tokio::test]
async fn the_name_of_one_proxy_does_not_lead_to_all_of_its_service() {
    let bench = Bench::plain().await;
    let refused =
        bench.inject(|it| it["target"]["service"] = json!("south-a")).await.unwrap_err().to_string();
    assert!(refused.contains("belongs to the service `payments`") && !refused.contains("mean"), "{refused}");
}

#[tokio::test]
async fn what_waited_is_looked_at_again_before_it_comes_on() {
    let relabelled = |key: &str, value: &str| {
        let labels = [("service", "payments"), ("shard", "south"), (key, value)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        sabot_proxy::ProxyPatch { labels: Some(labels), ..Default::default() }
    };
    for (key, value, told) in [
        ("service", "other", "is meant no more"),
        ("env", "production", "a second person"),
        ("team", "b", "may touch"),
    ] {
        let bench = Bench::plain().await;
        let first = bench.inject(|_| {}).await.unwrap().id;
        let queued = Asked { scope: "team!=b".parse().unwrap(), ..asked(|it| it["queue"] = json!(true)) };
        let waits = bench.engine.inject(queued).await.unwrap().id;
        bench.controller.update("south-a", relabelled(key, value)).await.unwrap();
        bench.engine.revert(&first, &ann()).await.unwrap();
        let over = bench.ends_after(0, &waits).await;
        assert_eq!(over.state, State::Failed);
        assert!(over.reason.as_deref().unwrap().contains(told), "{over:?}");
        assert_eq!(bench.on(), [""; 0]);
    }
}

#[tokio::test]
async fn what_waited_keeps_to_the_limits_of_the_moment_in_which_it_begins() {
    let bench = Bench::plain().await;
    let first = bench.inject(|_| {}).await.unwrap().id;
    let waits = bench.inject(|it| it["queue"] = json!(true)).await.unwrap().id;
    let rules = Rules { longest: Duration::from_secs(10), ..Rules::default() };
    bench.engine.configure(Settings { rules, ..Settings::default() });
    assert_eq!(bench.engine.known(&first).unwrap().state, State::Running);
    bench.engine.revert(&first, &ann()).await.unwrap();
    let over = bench.ends_after(0, &waits).await;
    assert!(over.reason.as_deref().unwrap().contains("must be at most 10"), "{over:?}");
}

#[tokio::test]
async fn who_is_refused_in_a_window_is_told_to_queue_only_if_that_would_help() {
    let base_ms = 1_800_000_000_000;
    let patience = Rules::default().patience.as_millis() as u64;
    for (length_ms, helps) in [(patience - 1, true), (patience, false)] {
        let span = Span::Once { from_ms: base_ms, to_ms: base_ms + length_ms };
        let windows = vec![Closed { reason: "freeze".to_owned(), span }];
        let rules = Rules { windows, ..Rules::default() };
        let bench = Bench::new(None, OnRestart::Resume, Settings { rules, ..Settings::default() }).await;
        let refused = bench.inject(|_| {}).await.unwrap_err().to_string();
        assert!(refused.starts_with("nothing may run now (freeze), until 2027-01-15T0"), "{refused}");
        assert_eq!(refused.contains("ask with `queue`: true"), helps, "{refused}");
        assert_eq!(refused.contains("`patience`"), !helps, "{refused}");
    }
}
