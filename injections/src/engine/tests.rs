use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sabot_proxy::{Options, ProxySpec};
use serde_json::{Value, json};

use super::view::OwnView;
use super::*;
use crate::book::OnRestart;
use crate::clock::Clock;
use crate::journal::FILE;
use crate::rules::Rules;

/// A clock that stands still until it is told.
#[derive(Default)]
struct Told(AtomicU64);

impl Clock for Told {
    fn now(&self) -> Moment {
        let ms = self.0.load(Ordering::SeqCst);
        Moment { wall_ms: 1_800_000_000_000 + ms, steady_ms: 1_000_000 + ms }
    }

    fn boot(&self) -> String {
        "boot".to_owned()
    }
}

struct Bench {
    engine: Engine,
    controller: Controller,
    clock: Arc<Told>,
}

impl Bench {
    async fn new(directory: Option<&Path>, on_restart: OnRestart, settings: Settings) -> Self {
        Self::at(0, directory, on_restart, settings).await
    }

    /// One that comes up so late.
    async fn at(ms: u64, directory: Option<&Path>, on_restart: OnRestart, settings: Settings) -> Self {
        let controller = Controller::start(&Options { workers: Some(1), ..Options::default() }).unwrap();
        for (name, shard) in [("south-a", "south"), ("south-b", "south"), ("north", "north")] {
            let mut spec = ProxySpec::new(name, "127.0.0.1:9");
            spec.labels.insert("service".to_owned(), "payments".to_owned());
            spec.labels.insert("shard".to_owned(), shard.to_owned());
            controller.create(spec).await.unwrap();
        }
        let clock = Arc::new(Told(AtomicU64::new(ms)));
        let shared: Arc<dyn Clock> = Arc::<Told>::clone(&clock);
        let engine =
            Engine::open_with(controller.clone(), settings, directory, on_restart, shared).start().await;
        Self { engine, controller, clock }
    }

    async fn plain() -> Self {
        Self::new(None, OnRestart::Resume, Settings::default()).await
    }

    /// Which proxies have a fault on.
    fn on(&self) -> Vec<String> {
        let has = |it: &sabot_proxy::ProxyView| !it.injected.is_empty();
        self.controller.list().into_iter().filter(has).map(|it| it.name).collect()
    }

    async fn inject(&self, change: impl FnOnce(&mut Value)) -> Result<Injection, EngineError> {
        self.engine.inject(asked(change)).await
    }

    /// Lets so much time pass, and waits until the injection has ended.
    async fn ends_after(&self, ms: u64, id: &str) -> Injection {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
        self.engine.inner.sooner.notify_one();
        let mut changes = self.engine.changes();
        loop {
            let injection = self.engine.injection(id).unwrap();
            if injection.state.is_over() {
                return injection;
            }
            changes.recv().await.unwrap();
        }
    }

    fn actions(&self) -> Vec<String> {
        let all = self.engine.audit(&Filter::default()).unwrap();
        all.iter()
            .map(|it| serde_json::to_value(&it.event).unwrap()["action"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn ann() -> Actor {
    Actor::new("ann@example.com", "127.0.0.1")
}

fn asked(change: impl FnOnce(&mut Value)) -> Asked {
    let mut body = json!({
        "target": {"service": "payments", "selector": "shard=south", "max_targets": 3},
        "fault": {"type": "latency", "p50_ms": 20, "p99_ms": 50},
        "duration_seconds": 240,
        "steady_state": {"slo": "writes", "min": 0.995, "abort_after": 60},
        "hypothesis": "it holds", "owner": "payments-oncall@example.com",
    });
    change(&mut body);
    let request = Request::read(body).unwrap();
    Asked { request, actor: ann(), scope: Selector::default() }
}

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
async fn the_cap_bounds_how_many_are_hit() {
    let bench = Bench::plain().await;
    let injection =
        bench.inject(|it| it["target"] = json!({"service": "payments", "max_pods": 1})).await.unwrap();
    assert_eq!((injection.targets.len(), injection.matched), (1, 3));
    assert_eq!(bench.on(), injection.targets);
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
async fn what_no_proxy_can_have_is_refused_before_anything_is_kept() {
    let bench = Bench::plain().await;
    let http = |it: &mut Value| it["fault"] = json!({"type": "http_abort", "status": 503});
    let refused = bench.inject(http).await.unwrap_err().to_string();
    assert!(refused.starts_with("fault.type: http_abort acts on HTTP requests"), "{refused}");
    assert_eq!(bench.actions(), ["server.started"]);
    assert_eq!(bench.engine.injections().len(), 0);
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
async fn a_restart_goes_on_or_ends_it() {
    for (on_restart, down_ms, expected) in [
        (OnRestart::Resume, 100_000, State::Running),
        (OnRestart::Resume, 240_000, State::Completed),
        (OnRestart::Clear, 100_000, State::Reverted),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let first = Bench::new(Some(folder.path()), OnRestart::Resume, Settings::default()).await;
        let id = first.inject(|_| {}).await.unwrap().id;
        drop(first);
        let bench = Bench::at(down_ms, Some(folder.path()), on_restart, Settings::default()).await;
        let injection = bench.engine.injection(&id).unwrap();
        assert_eq!(injection.state, expected, "{on_restart} after {down_ms} ms");
        assert_eq!(bench.on().is_empty(), expected != State::Running);
        if expected == State::Running {
            let left = bench.controller.proxy("south-a").unwrap().injected[0].expires_in_ms.unwrap();
            assert!(left <= 140_000.0, "{left}");
        }
    }
}

#[tokio::test]
async fn without_a_journal_nothing_is_injected() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "this is no database, and never was one, whatever it is")
        .unwrap();
    let bench = Bench::new(Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    assert!(bench.engine.trouble().unwrap().contains(FILE));
    let refused = bench.inject(|_| {}).await.unwrap_err().to_string();
    assert!(refused.contains("could not be journalled") && refused.contains(FILE), "{refused}");
    assert_eq!(bench.engine.halt(&ann(), &Selector::default()).await.unwrap(), Halted::default());
    let unread = bench.engine.verify().unwrap_err().to_string();
    assert!(
        unread.contains("move journal.sqlite3* and journal.head away") && !unread.contains("injected"),
        "{unread}"
    );
    assert_eq!(bench.on(), [""; 0]);
}

#[tokio::test]
async fn schedules_come_again() {
    let bench = Bench::plain().await;
    let when: Recurrence = "@every 10m".parse().unwrap();
    bench.engine.add_schedule("nightly".to_owned(), when, asked(|_| {})).await.unwrap();
    let mut changes = bench.engine.changes();
    bench.clock.0.fetch_add(600_000, Ordering::SeqCst);
    bench.engine.inner.sooner.notify_one();
    let started = loop {
        let change = changes.recv().await.unwrap();
        if matches!(change.event, Event::Started { .. }) {
            break change.injection.unwrap();
        }
    };
    assert_eq!(started.schedule.as_deref(), Some("nightly"));
    assert_eq!(started.requested_by, ann());
    assert_eq!(bench.engine.schedules()[0].1, Some(1_800_000_000_000 + 1_200_000));
    bench.engine.remove_schedule("nightly", &ann()).await.unwrap();
    assert!(bench.engine.remove_schedule("nightly", &ann()).await.is_err());
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
async fn a_time_that_passed_while_the_server_was_down_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let first = Bench::new(Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    let when: Recurrence = "@every 10m".parse().unwrap();
    first.engine.add_schedule("nightly".to_owned(), when, asked(|_| {})).await.unwrap();
    drop(first);
    let bench = Bench::at(5_000_000, Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    bench.engine.stop().await;
    assert_eq!(bench.actions()[2..], ["server.started", "schedule.skipped", "server.stopped"]);
    assert_eq!(bench.on(), [""; 0]);
    assert_eq!(bench.engine.schedules()[0].1, Some(1_800_000_000_000 + 5_600_000));
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
async fn the_name_of_one_proxy_does_not_lead_to_all_of_its_service() {
    let bench = Bench::plain().await;
    let refused =
        bench.inject(|it| it["target"]["service"] = json!("south-a")).await.unwrap_err().to_string();
    assert!(refused.contains("belongs to the service `payments`") && !refused.contains("mean"), "{refused}");
}

#[tokio::test]
async fn what_was_guarded_by_an_indicator_does_not_go_on_without_it() {
    let slos = BTreeMap::from([("writes".to_owned(), Slo::Seen(OwnView::default()))]);
    let guarded = Settings { slos, ..Settings::default() };
    for (settings, state) in [(guarded.clone(), State::Running), (Settings::default(), State::Failed)] {
        let folder = tempfile::tempdir().unwrap();
        let first = Bench::new(Some(folder.path()), OnRestart::Resume, guarded.clone()).await;
        let id = first.inject(|_| {}).await.unwrap().id;
        drop(first);
        let bench = Bench::at(1000, Some(folder.path()), OnRestart::Resume, settings).await;
        let injection = bench.engine.injection(&id).unwrap();
        assert_eq!(injection.state, state, "{:?}", injection.reason);
        assert_eq!(bench.on().is_empty(), state == State::Failed);
        let reason = injection.reason.unwrap_or_default();
        assert!(
            state == State::Running
                || reason.contains("`writes` (what all proxies see) is configured no more"),
            "{reason}"
        );
    }
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
async fn what_ended_while_the_journal_could_not_be_written_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    let id = bench.inject(|_| {}).await.unwrap().id;
    let other = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let told = bench.engine.halt(&ann(), &Selector::default()).await.unwrap_err().to_string();
    assert!(told.contains("not be journalled yet"), "{told}");
    assert_eq!(bench.on(), [""; 0]);
    // Killed: what would be written later never is.
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let again = Bench::at(1000, Some(copy.path()), OnRestart::Resume, Settings::default()).await;
    let injection = again.engine.injection(&id).unwrap();
    assert_eq!((injection.state, again.on()), (State::Reverted, vec![]));
    assert!(injection.reason.unwrap().contains("had ended before the server died"));
    again.engine.stop().await;
    assert!(!copy.path().join("journal.ended").exists(), "it is in the journal now");
    other.execute_batch("ROLLBACK").unwrap();
}

#[tokio::test]
async fn an_approval_that_cannot_be_kept_is_none_and_a_removal_is_kept_later() {
    let folder = tempfile::tempdir().unwrap();
    let rules = Rules {
        approval: crate::rules::Approval { above_targets: Some(1), ..Default::default() },
        ..Rules::default()
    };
    let settings = Settings { rules, ..Settings::default() };
    let bench = Bench::new(Some(folder.path()), OnRestart::Resume, settings.clone()).await;
    let id = bench.inject(|_| {}).await.unwrap().id;
    let when: Recurrence = "@every 10m".parse().unwrap();
    bench.engine.add_schedule("nightly".to_owned(), when, asked(|_| {})).await.unwrap();
    let other = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let bob = Actor::new("bob@example.com", "");
    let told = bench.engine.approve(&id, &bob).await.unwrap_err().to_string();
    assert!(told.contains("could not be journalled, so it was not done"), "{told}");
    assert_eq!((bench.engine.known(&id).unwrap().state, bench.on()), (State::Pending, vec![]));
    assert!(bench.engine.remove_schedule("nightly", &ann()).await.is_err());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(bench.engine.approve(&id, &bob).await.unwrap().state, State::Running);
    bench.engine.stop().await;
    drop(bench);
    let again = Bench::at(1000, Some(folder.path()), OnRestart::Resume, settings).await;
    assert_eq!(again.engine.schedules(), []);
}

#[tokio::test]
async fn a_schedule_that_is_left_out_again_and_again_is_told_of_now_and_then() {
    let bench = Bench::plain().await;
    let when: Recurrence = "@every 1s".parse().unwrap();
    bench.inject(|_| {}).await.unwrap();
    bench.engine.add_schedule("often".to_owned(), when, asked(|_| {})).await.unwrap();
    let mut changes = bench.engine.changes();
    let mut told = 0;
    for _ in 0..130 {
        bench.clock.0.fetch_add(1000, Ordering::SeqCst);
        let before = bench.engine.schedules()[0].1;
        bench.engine.inner.sooner.notify_one();
        while bench.engine.schedules()[0].1 == before {
            tokio::task::yield_now().await;
        }
        while let Ok(change) = changes.try_recv() {
            told += u32::from(matches!(change.event, Event::ScheduleSkipped { .. }));
        }
    }
    assert!((1..=3).contains(&told), "{told}");
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_put_schedules_off() {
    let bench = Bench::plain().await;
    bench.clock.0.store(86_400_000, Ordering::SeqCst);
    let when: Recurrence = "@every 10m".parse().unwrap();
    bench.engine.add_schedule("nightly".to_owned(), when, asked(|_| {})).await.unwrap();
    bench.engine.let_time_pass();
    // Only the wall's is set back in life; what is looked at here goes by that alone.
    bench.clock.0.store(0, Ordering::SeqCst);
    bench.engine.let_time_pass();
    assert_eq!(bench.engine.schedules()[0].1, Some(1_800_000_000_000 + 600_000));
}

#[tokio::test]
async fn the_limit_by_what_was_before_holds_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { p99_factor: Some(2.0), ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let first = Bench::new(Some(folder.path()), OnRestart::Resume, settings.clone()).await;
    let id = first.inject(|_| {}).await.unwrap().id;
    let most = |bench: &Bench| {
        let guards = bench.engine.guards(&bench.engine.known(&id).unwrap());
        guards.into_iter().filter_map(|(guard, _)| guard.objective.max).collect::<Vec<_>>()
    };
    assert_eq!(most(&first), [0.0; 0], "no requests came before it");
    first.engine.note_before(&id, 5.0);
    first.engine.stop().await;
    drop(first);
    let again = Bench::at(1000, Some(folder.path()), OnRestart::Resume, settings).await;
    assert_eq!((again.engine.known(&id).unwrap().state, most(&again)), (State::Running, vec![10.0]));
}
