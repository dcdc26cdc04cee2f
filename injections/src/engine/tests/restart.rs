//! What outlasts the server, and what does not.

use super::*;
use crate::rules::{Closed, Span};

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
    let unread = bench.engine.verify().unwrap_err().to_string();
    assert!(
        unread.contains("move journal.sqlite3* and journal.head away") && !unread.contains("injected"),
        "{unread}"
    );
    assert_eq!(bench.on(), [""; 0]);
}

#[tokio::test]
async fn a_halt_while_the_journal_cannot_be_read_is_told_and_holds() {
    let folder = tempfile::tempdir().unwrap();
    let first = Bench::new(Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    let id = first.inject(|_| {}).await.unwrap().id;
    first.engine.stop().await;
    drop(first);
    let (file, away) = (folder.path().join(FILE), folder.path().join("away"));
    let scoped: Selector = serde_json::from_value(json!("shard=south")).unwrap();
    // A halt of what a scope means cannot be noted: nobody knows what that is.
    for (scope, told, state) in [
        (scoped, "unless the server is started with --on-restart clear", State::Running),
        (Selector::default(), "is noted, so it does not come back", State::Reverted),
    ] {
        std::fs::rename(&file, &away).unwrap();
        let broken = Bench::at(1000, Some(folder.path()), OnRestart::Resume, Settings::default()).await;
        assert!(broken.engine.is_unread());
        for refused in [
            broken.engine.halt(&ann(), &scope).await.unwrap_err(),
            broken.engine.revert(&id, &ann()).await.unwrap_err(),
            broken.engine.known(&id).unwrap_err(),
        ] {
            let refused = refused.to_string();
            assert!(refused.contains("what was on before this start is not known"), "{refused}");
        }
        let refused = broken.engine.halt(&ann(), &scope).await.unwrap_err();
        assert!(
            matches!(refused, EngineError::NoJournal(_)) && refused.to_string().contains(told),
            "{refused}"
        );
        drop(broken);
        std::fs::rename(&away, &file).unwrap();
        let again = Bench::at(2000, Some(folder.path()), OnRestart::Resume, Settings::default()).await;
        let injection = again.engine.injection(&id).unwrap();
        assert_eq!((injection.state, again.on().is_empty()), (state, state != State::Running));
        let reason = injection.reason.unwrap_or_default();
        let halted = "halted by ann@example.com while the journal could not be read";
        assert!(state == State::Running || reason == halted, "{reason}");
        again.engine.stop().await;
    }
    assert!(!folder.path().join("journal.ended").exists(), "it is in the journal now");
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

/// The folder as it is now, where the server is killed: what it would write later never is.
fn killed(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_schedule_that_was_removed_while_the_journal_could_not_be_written_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    for name in ["nightly", "kept"] {
        let when: Recurrence = "@every 10m".parse().unwrap();
        bench.engine.add_schedule(name.to_owned(), when, asked(|_| {})).await.unwrap();
    }
    let running = bench.inject(|_| {}).await.unwrap().id;
    let other = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let told = bench.engine.remove_schedule("nightly", &ann()).await.unwrap_err().to_string();
    assert!(told.contains("not be journalled yet"), "{told}");
    let copy = killed(folder.path());
    other.execute_batch("ROLLBACK").unwrap();
    // Its time has passed meanwhile.
    let again = Bench::at(900_000, Some(copy.path()), OnRestart::Resume, Settings::default()).await;
    let names = |bench: &Bench| bench.engine.schedules().into_iter().map(|it| it.0.name).collect::<Vec<_>>();
    assert_eq!(names(&again), ["kept"]);
    assert_eq!(again.engine.known(&running).unwrap().state, State::Completed, "its time was up");
    again.engine.stop().await;
    let last = Filter { subject: Some("nightly".to_owned()), ..Filter::default() };
    let last: Vec<_> = again.engine.audit(&last).unwrap().into_iter().map(|it| it.event).collect();
    assert!(matches!(&last[..], [Event::ScheduleAdded { .. }, Event::ScheduleRemoved { .. }]), "{last:?}");
    assert!(!copy.path().join("journal.ended").exists(), "it is in the journal now");
    // There may be another one of this name then.
    let when: Recurrence = "@every 10m".parse().unwrap();
    again.engine.add_schedule("nightly".to_owned(), when, asked(|_| {})).await.unwrap();
    drop(again);
    let last = Bench::at(900_000, Some(copy.path()), OnRestart::Resume, Settings::default()).await;
    assert_eq!(names(&last), ["kept", "nightly"]);
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
    let copy = killed(folder.path());
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

#[tokio::test]
async fn what_ended_while_the_server_was_down_was_off_when_its_time_was_up() {
    let base_ms = 1_800_000_000_000;
    let folder = tempfile::tempdir().unwrap();
    let first = Bench::new(Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    let id = first.inject(|_| {}).await.unwrap().id;
    drop(first);
    let bench = Bench::at(600_000, Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    let injection = bench.engine.injection(&id).unwrap();
    assert_eq!((injection.state, injection.ended_at_ms), (State::Completed, Some(base_ms + 240_000)));
    bench.engine.stop().await;
    let on = |from_ms, to_ms| bench.engine.on_between(base_ms + from_ms, base_ms + to_ms).unwrap().len();
    assert_eq!((on(239_999, 240_000), on(240_000, 900_000)), (1, 0));
}

#[tokio::test]
async fn by_a_clock_that_was_set_back_nothing_ends_before_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let first = Bench::at(3_600_000, Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    let began = first.inject(|_| {}).await.unwrap();
    drop(first);
    let bench = Bench::new(Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    let injection = bench.engine.injection(&began.id).unwrap();
    assert_eq!((injection.state, injection.ended_at_ms), (State::Completed, began.started_at_ms));
}

#[tokio::test]
async fn what_comes_back_in_a_window_does_not_come_on_again() {
    let folder = tempfile::tempdir().unwrap();
    let base_ms = 1_800_000_000_000;
    let span = Span::Once { from_ms: base_ms + 60_000, to_ms: base_ms + 1_000_000 };
    let windows = vec![Closed { reason: "freeze".to_owned(), span }];
    let settings = Settings { rules: Rules { windows, ..Rules::default() }, ..Settings::default() };
    let first = Bench::new(Some(folder.path()), OnRestart::Resume, settings.clone()).await;
    let id = first.inject(|_| {}).await.unwrap().id;
    drop(first);
    let bench = Bench::at(100_000, Some(folder.path()), OnRestart::Resume, settings).await;
    let injection = bench.engine.injection(&id).unwrap();
    assert_eq!((injection.state, bench.on()), (State::Aborted, vec![]));
    assert_eq!(injection.reason.unwrap(), "nothing may run now (freeze), until 2027-01-15T08:16:40.000Z");
    bench.engine.stop().await;
    assert_eq!(bench.actions()[3..], ["server.started", "injection.ended", "server.stopped"]);
}

#[tokio::test]
async fn after_a_restart_that_clears_nothing_that_waited_begins() {
    let folder = tempfile::tempdir().unwrap();
    let approval = crate::rules::Approval { above_targets: Some(2), ..Default::default() };
    let settings = Settings { rules: Rules { approval, ..Rules::default() }, ..Settings::default() };
    let first = Bench::new(Some(folder.path()), OnRestart::Resume, settings.clone()).await;
    let runs = first.inject(|_| {}).await.unwrap();
    let waits = first.inject(|it| it["queue"] = json!(true)).await.unwrap();
    let all = json!({"service": "payments", "max_targets": 3});
    let pends = first.inject(|it| it["target"] = all).await.unwrap();
    assert_eq!([runs.state, waits.state, pends.state], [State::Running, State::Approved, State::Pending]);
    drop(first);
    let bench = Bench::at(1000, Some(folder.path()), OnRestart::Clear, settings).await;
    bench.engine.let_time_pass();
    let known = |id| bench.engine.known(id).unwrap();
    assert_eq!([known(&runs.id).state, known(&waits.id).state], [State::Reverted; 2]);
    let reason = known(&waits.id).reason.unwrap();
    assert!(reason.contains("--on-restart clear") && reason.contains("turn"), "{reason}");
    // It comes on only if somebody says so now.
    assert_eq!((known(&pends.id).state, bench.on()), (State::Pending, vec![]));
}
