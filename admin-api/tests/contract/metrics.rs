//! What Prometheus reads.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use serde_json::json;

use crate::api::Api;
use crate::life::{asked, running, with_shop};

#[test]
fn bytes_are_counted_while_the_connection_lives() {
    let upstream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = upstream.local_addr().unwrap();
    let api = Api::start();
    let body = format!(r#"{{"name":"counted","listen":"127.0.0.1:0","upstream":"{to}"}}"#);
    let created = api.call("POST /proxies", &body).json();
    let listen = created["listen"].as_str().unwrap();
    let mut client = TcpStream::connect(listen).unwrap();
    let (mut server, _) = upstream.accept().unwrap();
    client.write_all(b"question").unwrap();
    server.read_exact(&mut [0; 8]).unwrap();
    server.write_all(b"answer").unwrap();
    client.read_exact(&mut [0; 6]).unwrap();

    // What was written is counted a moment after the peer may have it.
    let counted = |text: &str| text.lines().any(|line| line.contains("sent_bytes") && line.ends_with(" 6"));
    api.until("GET /metrics", counted);
    let answer = api.call("GET /metrics", "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for (metric, direction, bytes) in [
        ("received", "upstream", 8),
        ("sent", "upstream", 8),
        ("received", "downstream", 6),
        ("sent", "downstream", 6),
    ] {
        let name = format!("toxiproxy_proxy_{metric}_bytes_total{{");
        let labels = [
            format!("direction=\"{direction}\""),
            format!("listener=\"{listen}\""),
            "proxy=\"counted\"".to_owned(),
            format!("upstream=\"{to}\""),
        ];
        let is_it = |line: &&str| line.starts_with(&name) && labels.iter().all(|label| line.contains(label));
        let line = answer
            .body
            .lines()
            .find(is_it)
            .unwrap_or_else(|| panic!("no {metric} {direction} in\n{}", answer.body));
        assert!(line.ends_with(&format!(" {bytes}")), "{line}");
    }
    assert!(!answer.body.contains("quantile="), "summaries cannot be added up: {}", answer.body);
}

#[test]
fn faults_are_counted_and_those_that_are_on_are_shown() {
    let api = with_shop();
    let id = running(&api, |_| {});
    let waits = asked(|it| it["queue"] = json!(true));
    assert_eq!(api.call("POST /injections", &waits).status, 202);
    let has = |expected: &[(&str, u32)]| {
        let text = api.call("GET /metrics", "").body;
        for (series, count) in expected {
            let line = format!("\n{series} {count}\n");
            assert!(text.contains(&line), "no {line} in\n{text}");
        }
    };
    let on = r#"sabot_faults_active{type="latency",target="pay-1"}"#;
    let started =
        r#"sabot_fault_events_total{event="start",type="latency",target="pay-1",outcome="started"}"#;
    let running = r#"sabot_injections{state="running"}"#;
    has(&[(on, 1), (started, 1), (running, 1), (r#"sabot_injections{state="approved"}"#, 1)]);
    has(&[("sabot_journal_writable", 1), (r#"sabot_injections_ended_total{state="reverted"}"#, 0)]);
    // With what it does, as long as it does it.
    let info = format!(
        r#"sabot_fault_info{{injection="{id}",type="latency",target="pay-1",params="p50_ms=200 p99_ms=500"}}"#
    );
    has(&[(&info, 1)]);
    assert_eq!(api.call("POST /injections/halt", "").status, 200);
    assert!(!api.call("GET /metrics", "").body.contains("sabot_fault_info"));
    let stopped =
        r#"sabot_fault_events_total{event="stop",type="latency",target="pay-1",outcome="reverted"}"#;
    has(&[(on, 0), (stopped, 1), (running, 0), (r#"sabot_injections_ended_total{state="reverted"}"#, 2)]);
    assert!(!api.call(&format!("GET /injections/{id}"), "").body.contains("running"));
}
