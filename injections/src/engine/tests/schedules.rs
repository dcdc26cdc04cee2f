//! What comes again.

use super::*;

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
async fn a_clock_that_is_set_back_a_little_does_not_have_a_time_come_twice() {
    let base_ms = 1_800_000_000_000;
    let bench = Bench::plain().await;
    let when: Recurrence = "* * * * *".parse().unwrap();
    bench.engine.add_schedule("minutely".to_owned(), when, asked(|_| {})).await.unwrap();
    let mut changes = bench.engine.changes();
    let next = |at_ms| {
        bench.clock.0.store(at_ms, Ordering::SeqCst);
        bench.engine.let_time_pass();
        bench.engine.schedules()[0].1.map(|next_ms| next_ms - base_ms)
    };
    assert_eq!(next(7_200_002), Some(7_260_000));
    assert_eq!(next(7_197_600), Some(7_260_000), "before what it asks for is written down");
    while !matches!(changes.recv().await.unwrap().event, Event::Started { .. }) {}
    assert_eq!(next(7_197_700), Some(7_260_000), "and after it");
    assert_eq!(next(7_200_003), Some(7_260_000));
    // Set back by so much that it was wrong before: nobody would understand if nothing came for hours.
    assert_eq!(next(0), Some(60_000));
}

#[tokio::test]
async fn nor_does_one_that_is_set_back_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = Bench::new(Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    let when: Recurrence = "* * * * *".parse().unwrap();
    first.engine.add_schedule("minutely".to_owned(), when, asked(|_| {})).await.unwrap();
    let mut changes = first.engine.changes();
    first.clock.0.store(60_002, Ordering::SeqCst);
    first.engine.let_time_pass();
    while !matches!(changes.recv().await.unwrap().event, Event::Started { .. }) {}
    drop(first);
    let bench = Bench::at(57_600, Some(folder.path()), OnRestart::Resume, Settings::default()).await;
    assert_eq!(bench.engine.schedules()[0].1, Some(1_800_000_000_000 + 120_000));
}
