//! Connections, as a real client keeps them.

use std::io::{BufReader, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use sabot_runner::load::Running;
use serde_json::json;

use crate::support::{answering, count, http, plan, ready, request, run, server, with};

#[test]
fn connections_are_kept_and_used_again() {
    let (address, accepted) = server(answering(|_, _, _| http(200, "")));
    let ran = run(with(plan(address, 100), json!({"connections": 4, "queue_timeout": "20s"})));
    assert_eq!(count(&ran.summary, "ok"), 100);
    assert!(accepted.load(Ordering::SeqCst) <= 4, "no more than the limit");
    assert_eq!(ran.summary.connections_opened, accepted.load(Ordering::SeqCst) as u64);
}

#[test]
fn the_limit_holds_and_who_waits_too_long_is_dropped() {
    let (address, accepted) = server(|_, stream| {
        let mut reader = BufReader::new(stream);
        while request(&mut reader).is_some() {}
    });
    let limits = json!({"connections": 3, "queue_timeout": "100ms", "timeout": "3s", "duration": "500ms"});
    let ran = run(with(plan(address, 40), limits));
    // Three wait for an answer that never comes; nobody else gets a connection.
    assert_eq!(accepted.load(Ordering::SeqCst), 3);
    assert_eq!(
        (count(&ran.summary, "timeout"), count(&ran.summary, "dropped")),
        (3, 17),
        "{:?}",
        ran.summary.total
    );
    let dropped = ran.outcomes.iter().filter(|outcome| outcome.sent.is_none());
    assert!(dropped.clone().all(|outcome| outcome.latency() >= Duration::from_millis(100)));
    assert_eq!(dropped.count(), 17);
}

#[test]
fn workers_share_the_limits() {
    let (address, accepted) = server(answering(|_, _, _| http(200, "")));
    let ran = run(with(plan(address, 100), json!({"connections": 3, "workers": 2, "queue_timeout": "20s"})));
    assert_eq!((count(&ran.summary, "ok"), ran.summary.workers), (100, 2));
    assert!(accepted.load(Ordering::SeqCst) <= 3);
}

/// Answers the first request of each connection; what comes after finds it closed.
fn closing_when_idle() -> impl Fn(usize, std::net::TcpStream) + Send + Sync {
    |_, stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        if request(&mut reader).is_some() {
            let _ = writer.write_all(http(200, "").as_bytes());
            // It takes the next request in before it closes: the client cannot have known.
            let _ = request(&mut reader);
        }
    }
}

#[test]
fn a_request_on_a_stale_connection_is_sent_again() {
    let (address, _) = server(closing_when_idle());
    let ran = run(with(plan(address, 20), json!({"connections": 1, "queue_timeout": "20s"})));
    assert_eq!(count(&ran.summary, "ok"), 20, "{:?}", ran.summary.total);
    assert!(ran.summary.resent >= 9, "every second one: {}", ran.summary.resent);
}

#[test]
fn what_changes_something_is_not_sent_again() {
    let (address, _) = server(closing_when_idle());
    let endpoints = json!([{"path": "/", "method": "POST", "body": "x"}]);
    let more = json!({"connections": 1, "queue_timeout": "20s", "endpoints": endpoints});
    let ran = run(with(plan(address, 20), more));
    assert_eq!(
        (count(&ran.summary, "ok"), count(&ran.summary, "reset")),
        (10, 10),
        "{:?}",
        ran.summary.total
    );
    assert_eq!(ran.summary.resent, 0);
}

#[test]
fn a_load_can_be_stopped() {
    // The server holds its answers until the test lets them go, which it never does.
    let held = Arc::new((Mutex::new(()), Condvar::new()));
    let met = Arc::new(AtomicUsize::new(0));
    let (holding, seen) = (Arc::clone(&held), Arc::clone(&met));
    let (address, _) = server(answering(move |_, _, _| {
        seen.fetch_add(1, Ordering::SeqCst);
        let (lock, condvar) = &*holding;
        drop(condvar.wait(lock.lock().unwrap()));
        String::new()
    }));
    let load = ready(with(plan(address, 50), json!({"duration": "1h", "timeout": "1h"})));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (ended, outcomes) = runtime.block_on(async {
        let mut running = Running::start(&load).await.unwrap();
        let mut outcomes = Vec::new();
        while let Some(batch) = running.next().await {
            outcomes.extend(batch.outcomes);
            if met.load(Ordering::SeqCst) >= 5 {
                running.stop();
            }
        }
        (running.finish().unwrap(), outcomes)
    });
    assert!(ended.stopped);
    assert!(ended.offered_for < Duration::from_secs(3000));
    // What was under way counts as cut off: none is lost.
    assert!(outcomes.len() >= 5, "{}", outcomes.len());
}
