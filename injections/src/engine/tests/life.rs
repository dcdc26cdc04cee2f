//! From its beginning to its end, and what is told of it later.

use super::*;

#[tokio::test]
async fn an_injection_is_on_until_its_time_is_up() {
    let bench = Bench::plain().await;
    let injection = bench.inject(|_| {}).await.unwrap();
    assert_eq!(injection.state, State::Running);
    assert_eq!(injection.targets, ["south-a", "south-b"]);
    assert_eq!(bench.on(), injection.targets);
    let view = bench.controller.proxy("south-a").unwrap().injected.remove(0);
    assert_eq!((view.owner.as_deref(), view.name.as_str()), (Some(&*injection.id), &*injection.id));
    assert!(view.expires_in_ms.unwrap() <= 240_000.0);

    let over = bench.ends_after(240_000, &injection.id).await;
    assert_eq!((over.state, over.reason.as_deref()), (State::Completed, Some("its time was up")));
    assert_eq!(bench.on(), [""; 0]);
    // Ends are kept without anybody waiting for it; this is kept after them.
    bench.engine.stop().await;
    bench.engine.verify().unwrap();
    let expected =
        ["server.started", "injection.requested", "injection.started", "injection.ended", "server.stopped"];
    assert_eq!(bench.actions(), expected);
}

#[tokio::test]
async fn one_call_takes_it_back() {
    let bench = Bench::plain().await;
    let id = bench.inject(|_| {}).await.unwrap().id;
    let over = bench.engine.revert(&id, &ann()).await.unwrap();
    assert_eq!(
        (over.state, over.reason.as_deref()),
        (State::Reverted, Some("taken back by ann@example.com"))
    );
    assert_eq!(bench.on(), [""; 0]);
    let again = bench.engine.revert(&id, &ann()).await.unwrap_err().to_string();
    assert!(again.contains("is reverted"), "{again}");
    let nobody = bench.engine.revert("inj-0", &ann()).await.unwrap_err().to_string();
    assert_eq!(nobody, "there is no injection `inj-0`");
}

#[tokio::test]
async fn what_is_over_is_watched_no_more() {
    let bench = Bench::plain().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..10 {
        let id = bench.inject(|_| {}).await.unwrap().id;
        assert_eq!(tasks(), before + 1);
        bench.engine.revert(&id, &ann()).await.unwrap();
        // Turns for those that are ready; the time of none comes in them.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks(), before);
    }
}

#[tokio::test]
async fn what_happens_to_a_proxy_ends_what_is_on_it() {
    for (delete, told) in
        [(true, "the proxy was deleted: south-a"), (false, "the proxy was disabled: south-a")]
    {
        let bench = Bench::plain().await;
        let injection = bench.inject(|_| {}).await.unwrap();
        if delete {
            bench.controller.delete("south-a").await.unwrap();
        } else {
            let patch = sabot_proxy::ProxyPatch { enabled: Some(false), ..Default::default() };
            bench.controller.update("south-a", patch).await.unwrap();
        }
        let over = bench.ends_after(0, &injection.id).await;
        assert_eq!((over.state, over.reason.as_deref()), (State::Aborted, Some(told)));
        assert_eq!(bench.on(), [""; 0]);
    }
}

#[tokio::test]
async fn a_breach_takes_it_back_and_is_kept() {
    struct Bad;
    impl Indicator for Bad {
        fn sample(&self, _: Duration) -> Pin<Box<dyn Future<Output = Result<f64, String>> + Send + '_>> {
            Box::pin(std::future::ready(Ok(0.9)))
        }
        fn source(&self) -> String {
            "a test".to_owned()
        }
    }
    let slos = BTreeMap::from([("writes".to_owned(), Slo::Asked(Arc::new(Bad)))]);
    let settings = Settings { slos, ..Settings::default() };
    let bench = Bench::new(None, OnRestart::Resume, settings).await;
    let id = bench.inject(|it| it["steady_state"]["abort_after"] = json!(0)).await.unwrap().id;
    // Read within a second; the clock that is told need not move.
    let over = bench.ends_after(0, &id).await;
    let breach = over.breach.unwrap();
    assert_eq!((over.state, breach.value, breach.source.as_str()), (State::Aborted, Some(0.9), "a test"));
    assert_eq!(bench.on(), [""; 0]);
}

#[tokio::test]
async fn why_there_is_no_data_is_kept() {
    struct Silent;
    impl Indicator for Silent {
        fn sample(&self, _: Duration) -> Pin<Box<dyn Future<Output = Result<f64, String>> + Send + '_>> {
            Box::pin(std::future::ready(Err("connection refused by http://ann:secret@host/".to_owned())))
        }
        fn source(&self) -> String {
            "a test".to_owned()
        }
    }
    let slos = BTreeMap::from([("writes".to_owned(), Slo::Asked(Arc::new(Silent) as Arc<dyn Indicator>))]);
    for (slos, told) in [
        (slos, "writes gave no data for 60.0 s: connection refused by http://host"),
        (BTreeMap::new(), "writes gave no data for 60.0 s: no requests in the last 5 s"),
    ] {
        let bench = Bench::new(None, OnRestart::Resume, Settings { slos, ..Settings::default() }).await;
        let id = bench.inject(|_| {}).await.unwrap().id;
        let injection = bench.engine.known(&id).unwrap();
        let sources: Vec<_> = bench.engine.guards(&injection).into_iter().map(|(_, source)| source).collect();
        bench.engine.read(&id, &sources).await;
        let over = bench.ends_after(60_000, &id).await;
        assert_eq!((over.state, over.reason.as_deref()), (State::Aborted, Some(told)));
    }
}

#[tokio::test]
async fn the_past_is_asked_what_was_on() {
    let bench = Bench::plain().await;
    let on = |ms: u64| {
        let on = bench.engine.on_at(1_800_000_000_000 + ms).unwrap();
        on.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    bench.clock.0.store(1_000, Ordering::SeqCst);
    let first = bench.inject(|_| {}).await.unwrap().id;
    bench.clock.0.store(2_000, Ordering::SeqCst);
    let north = json!({"service": "payments", "selector": "shard=north", "max_targets": 1});
    let second = bench.inject(|it| it["target"] = north).await.unwrap().id;
    bench.clock.0.store(3_000, Ordering::SeqCst);
    bench.engine.revert(&first, &ann()).await.unwrap();
    for (ms, expected) in [
        (999, vec![]),
        (1_000, vec![&first]),
        (2_500, vec![&first, &second]),
        (3_000, vec![&second]),
        (241_999, vec![&second]),
        // Nobody has written down that it ended, but its time was up.
        (242_000, vec![]),
    ] {
        assert_eq!(on(ms).iter().collect::<Vec<_>>(), expected, "{ms}");
    }
}

#[tokio::test]
async fn what_comes_on_and_goes_off_is_counted() {
    let bench = Bench::plain().await;
    let id = bench.inject(|_| {}).await.unwrap().id;
    bench.engine.revert(&id, &ann()).await.unwrap();
    let waits = bench.inject(|it| it["target"] = json!({"service": "payments", "max_targets": 3}));
    let running = waits.await.unwrap().id;
    let queued = bench.inject(|it| it["queue"] = json!(true)).await.unwrap().id;
    bench.engine.revert(&queued, &ann()).await.unwrap();
    let tally = bench.engine.tally();
    let told: Vec<_> =
        tally.faults.iter().map(|(it, count)| (&*it.target, it.event, it.outcome, *count)).collect();
    let expected = [
        ("north", "start", "started", 1),
        ("south-a", "start", "started", 2),
        ("south-a", "stop", "reverted", 1),
        ("south-b", "start", "started", 2),
        ("south-b", "stop", "reverted", 1),
    ];
    assert_eq!(told, expected, "{running} is on, {queued} never was");
    assert_eq!(tally.ended, BTreeMap::from([("reverted", 2)]));
    assert_eq!(bench.engine.journalled(), bench.actions().len() as u64);
}

#[tokio::test]
async fn what_was_on_in_a_minute_is_found() {
    let bench = Bench::plain().await;
    bench.clock.0.store(20_000, Ordering::SeqCst);
    let id = bench.inject(|it| it["duration_seconds"] = json!(2)).await.unwrap().id;
    bench.ends_after(2_000, &id).await;
    bench.engine.stop().await;
    let on = |from: u64, to: u64| {
        let minute = bench.engine.on_between(1_800_000_000_000 + from, 1_800_000_000_000 + to).unwrap();
        minute.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(on(0, 60_000), [id.as_str()]);
    assert_eq!(on(21_000, 21_001), [id.as_str()]);
    assert_eq!(on(0, 20_000), [""; 0]);
    assert_eq!(on(22_000, 60_000), [""; 0]);
}

#[tokio::test]
async fn one_verifies_at_a_time_and_waits_for_those_who_write() {
    let bench = Bench::plain().await;
    let Kept::Open { reader, verifying, .. } = &bench.engine.inner.journal else { panic!("it is open") };
    let held = verifying.lock().unwrap();
    assert!(matches!(bench.engine.verify(), Err(EngineError::Verifying)));
    drop(held);
    // In memory all have one journal.
    let held = reader.lock().unwrap();
    let (engine, (tell, told)) = (bench.engine.clone(), std::sync::mpsc::channel());
    std::thread::spawn(move || tell.send(engine.verify().map(|verified| verified.events)));
    assert!(told.recv_timeout(Duration::from_millis(50)).is_err(), "it does not wait");
    drop(held);
    assert_eq!(told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap(), 1);
}
