//! Thousands of connections while toxics come, change and go: no byte is lost, and
//! afterwards no task, descriptor or memory is left.
//!
//! A process may have 20,000 descriptors here and a proxied connection costs four,
//! so clients, proxies and the server are processes of their own: this program,
//! started again in another role. How much is set by `SABOT_CHURN_CONNECTIONS` (at
//! once, 1,000 unless given) and `SABOT_CHURN_SECONDS` (6 unless given); what is
//! drawn hangs on `SABOT_SEED`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "processes talk by it, and a test tells its figures")]

mod clients;
mod proxy;
mod server;
mod talk;

use std::time::{Duration, Instant};

use talk::{Child, ROLE, setting};

/// Proxies that share the load, each a process.
const PROXIES: usize = 2;

/// Descriptors of pipes that a worker may keep for reuse, and three that talk to this process.
const PIPES: u64 = 2 * 16 + 3;

/// What an allocator may keep of a peak that it has seen before.
const SLACK_KB: u64 = 16 * 1024;

#[test]
fn churn() {
    match std::env::var(ROLE).as_deref() {
        Ok("server") => server::run(),
        Ok(_) => proxy::run(),
        Err(_) => drive(),
    }
}

fn drive() {
    let connections = setting("SABOT_CHURN_CONNECTIONS", 1_000);
    let seconds = setting("SABOT_CHURN_SECONDS", 6);
    let seed = setting("SABOT_SEED", 1);
    let server = Child::start("server", "");
    let mut proxies: Vec<_> = (0..PROXIES).map(|_| Child::start("proxy", &server.said)).collect();
    let targets: Vec<_> = proxies.iter().map(|proxy| proxy.said.parse().unwrap()).collect();

    // Twice the same: what the first time leaves behind is what is kept for good.
    let half = Duration::from_millis(seconds * 500);
    let first = clients::run(&targets, connections, seed, Instant::now() + half);
    let before: Vec<_> = proxies.iter_mut().map(Child::report).collect();
    let second = clients::run(&targets, connections, seed + 1, Instant::now() + half);
    let after: Vec<_> = proxies.iter_mut().map(Child::report).collect();

    println!("{connections} connections at once: {first}; then {second}");
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    for (before, after) in before.iter().zip(&after) {
        println!("before {before}\nafter  {after}");
        assert_eq!(after["open"], 0, "connections are left");
        assert_eq!(after["tasks"], before["tasks"], "tasks are left");
        assert_eq!(after["held"], 0, "bytes are held");
        assert_eq!(after["descriptors"], before["descriptors"], "descriptors are left");
        let pipes = after["pipes"].as_u64().unwrap();
        assert!(pipes <= PIPES * cores, "{pipes} descriptors of pipes are left");
        let resident = |report: &serde_json::Value| report["resident_kb"].as_u64().unwrap();
        let limit = resident(before) + resident(before) / 5 + SLACK_KB;
        assert!(resident(after) <= limit, "memory grew to {} kB", resident(after));
    }
    for failure in first.failures.iter().chain(&second.failures).take(10) {
        println!("{failure}");
    }
    assert!(first.failures.is_empty() && second.failures.is_empty(), "bytes were lost; seed {seed}");
    // A machine that is busy with other things gets through few.
    assert!(second.finished > connections / 10, "too little happened to say anything");
}
