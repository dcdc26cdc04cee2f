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
