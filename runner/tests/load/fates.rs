//! Each fate, provoked by a server that misbehaves so.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use sabot_runner::load::summary::Part;
use sabot_runner::load::{Recorder, Running, Sink};
use sabot_runner::outcome::Fate;

use crate::support::{answering, count, http, plan, ready, request, run, server, with};

#[test]
fn what_is_answered_is_ok() {
    let (address, _) = server(answering(|_, _, _| http(200, "hello")));
    let ran = run(plan(address, 200));
    assert_eq!(count(&ran.summary, "ok"), 200, "{:?}", ran.summary);
    assert_eq!(ran.summary.codes["200"], 200);
    assert_eq!(ran.summary.endpoints[0].name, "GET /");
    assert!((ran.summary.total.effective_per_s - 200.0).abs() < 1e-6);
    for outcome in &ran.outcomes {
        let sent = outcome.sent.expect("an answered request was sent");
        assert!(outcome.intended <= sent && sent <= outcome.done, "{outcome:?}");
    }
}

#[test]
fn an_unexpected_status_is_refused() {
    let answer =
        |number: usize, _: &str, _: &[u8]| http(if number.is_multiple_of(2) { 503 } else { 204 }, "");
    let (address, _) = server(answering(answer));
    let ran = run(with(plan(address, 50), json!({"connections": 1, "queue_timeout": "20s"})));
    assert_eq!((count(&ran.summary, "ok"), count(&ran.summary, "refused")), (25, 25));
    let endpoints = json!([{"path": "/", "expect": ["500-599"]}]);
    let ran = run(with(
        plan(address, 50),
        json!({"connections": 1, "queue_timeout": "20s", "endpoints": endpoints}),
    ));
    assert_eq!((count(&ran.summary, "ok"), count(&ran.summary, "refused")), (25, 25));
    assert_eq!(ran.summary.endpoints[0].codes["204"], 25);
}

#[test]
fn nobody_listening_is_connect() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = run(plan(address, 50));
    assert_eq!(count(&ran.summary, "connect"), 50, "{:?}", ran.summary.total);
    assert!(ran.outcomes.iter().all(|outcome| outcome.sent.is_none()));
    assert_eq!(ran.summary.connections_opened, 0);
    assert_eq!(ran.summary.causes, BTreeMap::from([(format!("{address} refused it"), 50)]));
    let Part { latency_ms, latency_all_ms, .. } = &ran.summary.total;
    assert!(latency_ms.is_none() && latency_all_ms.is_some(), "no answer is no fast one");
    assert!(ran.summary.lateness.is_none(), "nothing was sent");
}

#[test]
fn a_name_without_an_address_is_told() {
    let (address, _) = server(answering(|_, _, _| http(200, "")));
    let target = json!({"target": format!("http://nowhere.invalid:{}", address.port())});
    let ran = run(with(plan(address, 20), target));
    assert_eq!(count(&ran.summary, "connect"), 20, "{:?}", ran.summary.total);
    let told: Vec<_> = ran.summary.causes.keys().collect();
    assert!(
        told.iter().all(|cause| cause.contains("nowhere.invalid") || cause.contains("within 2s")),
        "{told:?}"
    );
}

#[test]
fn what_the_end_of_the_load_cuts_off_is_no_error() {
    let (address, _) = server(answering(|_, head, _| {
        while head.starts_with("GET /hang") {
            std::thread::park();
        }
        http(200, "")
    }));
    let endless = json!({
        "duration": "1h", "timeout": "1h", "queue_timeout": "1h", "connections": 20,
        "endpoints": [{"path": "/"}, {"path": "/hang"}],
    });
    let load = ready(with(plan(address, 50), endless));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut recorder = Recorder::new(&load);
    let ended = runtime.block_on(async {
        let mut running = Running::start(&load).await.unwrap();
        while let Some(batch) = running.next().await {
            recorder.take(&batch);
            let ok = recorder.series().total().count(Fate::Ok);
            // Some hang, and more wait for a connection.
            if ok >= 10 && recorder.in_flight() >= 30 {
                running.stop();
            }
        }
        running.finish().unwrap()
    });
    let (summary, series) = recorder.finish(&load, ended);
    let (ok, cut) = (count(&summary, "ok"), count(&summary, "cut"));
    // How many of those that were under way the last second saved depends on the machine.
    assert!(ok >= 10 && cut >= 1 && ok + cut == summary.total.offered, "{:?}", summary.total);
    assert_eq!(summary.total.error_rate, 0.0);
    let total = series.total();
    assert_eq!((total.ended(), total.errors(), total.error_rate()), (ok, 0, Some(0.0)));
    assert_eq!(total.all(), total.ok, "how long the others would have taken nobody knows");
    let hanging = &summary.endpoints[1].part;
    assert!(hanging.latency_ms.is_none() && hanging.latency_all_ms.is_none(), "{hanging:?}");
}

#[test]
fn a_failed_handshake_of_tls_is_connect() {
    let (address, _) = server(|_, mut stream| {
        let _ = stream.write_all(b"this is no TLS, whatever you say\r\n\r\n");
        let _ = stream.read(&mut [0; 64]);
    });
    let ran = run(with(plan(address, 20), json!({"target": format!("https://{address}")})));
    assert_eq!(count(&ran.summary, "connect"), 20, "{:?}", ran.summary.total);
    let told: Vec<_> = ran.summary.causes.keys().collect();
    assert!(told.iter().all(|cause| cause.starts_with(&format!("TLS with {address}: "))), "{told:?}");
}

#[test]
fn no_answer_is_timeout() {
    let (address, _) = server(|_, stream| {
        let mut reader = BufReader::new(stream);
        while request(&mut reader).is_some() {}
    });
    let ran = run(with(plan(address, 20), json!({"timeout": "200ms"})));
    assert_eq!(count(&ran.summary, "timeout"), 20, "{:?}", ran.summary.total);
    assert!(ran.outcomes.iter().all(|outcome| outcome.latency() >= Duration::from_millis(200)));
    // A connection on which an answer is missing is of no more use.
    assert_eq!(ran.summary.connections_opened, 20);
}

#[test]
fn half_an_answer_is_timeout_too() {
    let answer = |_: usize, _: &str, _: &[u8]| "HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nhalf".to_owned();
    let (address, _) = server(answering(answer));
    let ran = run(with(plan(address, 10), json!({"timeout": "200ms"})));
    assert_eq!(count(&ran.summary, "timeout"), 10, "{:?}", ran.summary.total);
}

#[test]
fn a_connection_that_ends_is_reset() {
    // On a fresh connection nothing is sent again: it was not closed for its idleness.
    let (address, _) = server(|_, stream| {
        let _ = request(&mut BufReader::new(stream));
    });
    let ran = run(plan(address, 20));
    assert_eq!(count(&ran.summary, "reset"), 20, "{:?}", ran.summary.total);
    assert_eq!(ran.summary.resent, 0);
    // Half a body, and gone.
    let (address, _) = server(|_, stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let _ = request(&mut reader);
        let _ = (&stream).write_all(b"HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nhalf");
    });
    let ran = run(plan(address, 20));
    assert_eq!(count(&ran.summary, "reset"), 20, "{:?}", ran.summary.total);
}

#[test]
fn what_is_no_http_is_protocol() {
    let (address, _) = server(answering(|_, _, _| "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()));
    let ran = run(plan(address, 20));
    assert_eq!(count(&ran.summary, "protocol"), 20, "{:?}", ran.summary.total);
    let chunks = "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    let (address, _) = server(answering(|_, _, _| chunks.to_owned()));
    let ran = run(plan(address, 20));
    assert_eq!(count(&ran.summary, "protocol"), 20, "{:?}", ran.summary.total);
}

#[test]
fn too_many_under_way_are_dropped() {
    let (address, _) = server(|_, stream| {
        let mut reader = BufReader::new(stream);
        while request(&mut reader).is_some() {}
    });
    let ran = run(with(plan(address, 50), json!({"max_in_flight": 5, "timeout": "3s", "duration": "500ms"})));
    assert_eq!(count(&ran.summary, "dropped"), 20, "{:?}", ran.summary.total);
    assert_eq!(count(&ran.summary, "timeout"), 5);
    assert!(ran.summary.in_flight_max <= 5);
}

#[test]
fn a_stall_shows_in_every_request_that_met_it() {
    // One connection, and a server that stands still for its first second: a client that waits for
    // answers before it sends would have one slow request out of 200.
    let began = Mutex::new(None);
    let (address, _) = server(answering(move |_, _, _| {
        let began: Instant = *began.lock().unwrap().get_or_insert_with(Instant::now);
        std::thread::sleep(Duration::from_secs(1).saturating_sub(began.elapsed()));
        http(200, "")
    }));
    let ran =
        run(with(plan(address, 100), json!({"duration": "2s", "connections": 1, "queue_timeout": "20s"})));
    assert_eq!(count(&ran.summary, "ok"), 200);
    let slow = ran.outcomes.iter().filter(|outcome| outcome.latency() >= Duration::from_millis(500)).count();
    assert!(slow >= 50, "the requests of half a second waited for half a second and more, not {slow}");
    assert!(ran.summary.total.latency_ms.unwrap().p99 >= 900.0, "{:?}", ran.summary.total.latency_ms);
    assert!(
        ran.summary.lateness.unwrap().max >= 900.0,
        "and so does the load's own lateness: {:?}",
        ran.summary.lateness
    );
}
