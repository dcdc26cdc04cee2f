//! Accepting and dialling, and the faults of that phase.

use std::time::{Duration, Instant};

use sabot_proxy::{ConnectionView, Controller, ProxyPatch, ProxySpec, ProxyView};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::*;

async fn faulty(kind: &str, attributes: Value) -> (Controller, ProxyView) {
    let (controller, proxy) = echo_proxy().await;
    controller.add_toxic("p", simple(kind, attributes)).unwrap();
    (controller, proxy)
}

/// The only connection, once it is in that state.
async fn reaches(controller: &Controller, state: &str) -> ConnectionView {
    within(async {
        loop {
            let live = controller.connections(Some("p")).unwrap();
            if let Some(found) = live.into_iter().find(|connection| connection.state == state) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn refuse_resets_and_its_removal_heals() {
    let (controller, proxy) = faulty("refuse", json!({})).await;
    let mut events = controller.events("p").unwrap();
    assert!(is_reset(&proxy).await);
    next_of(&mut events, "toxic_applied").await;
    assert_eq!(controller.toxic("p", "refuse_downstream").unwrap().applied, 1);
    controller.remove_toxic("p", "refuse_downstream").unwrap();
    open(&proxy).await;
}

#[tokio::test]
async fn max_connections_resets_who_comes_too_many() {
    let (controller, proxy) = faulty("max_connections", json!({"limit": 2})).await;
    let mut events = controller.events("p").unwrap();
    let (first, _second) = (open(&proxy).await, open(&proxy).await);
    assert!(is_reset(&proxy).await);
    drop(first);
    next_of(&mut events, "connection_closed").await;
    open(&proxy).await;
}

#[tokio::test]
async fn accept_delay_dials_late() {
    let controller = controller();
    let (addr, mut server) = manual().await;
    let proxy = controller.create(ProxySpec::new("p", addr.to_string())).await.unwrap();
    controller.add_toxic("p", simple("accept_delay", json!({"delay": 150}))).unwrap();
    let before = Instant::now();
    let _client = connect(&proxy).await;
    reaches(&controller, "accepting").await;
    within(server.recv()).await.unwrap();
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(150), "{took:?}");
}

#[tokio::test]
async fn connect_delay_keeps_what_the_client_sends() {
    let (controller, proxy) = faulty("connect_delay", json!({"delay": 150})).await;
    let before = Instant::now();
    let mut client = connect(&proxy).await;
    assert_eq!(ping(&mut client, b"patience").await.unwrap(), b"patience");
    assert!(before.elapsed() >= Duration::from_millis(150));
    assert_eq!(controller.connections(Some("p")).unwrap()[0].state, "open");
}

#[tokio::test]
async fn a_mistaken_delay_can_be_taken_back() {
    for kind in ["accept_delay", "connect_delay"] {
        let (controller, proxy) = faulty(kind, json!({"delay": "1h"})).await;
        let mut client = connect(&proxy).await;
        client.write_all(b"hello").await.unwrap();
        reaches(&controller, if kind == "accept_delay" { "accepting" } else { "dialing" }).await;
        controller.remove_toxic("p", &format!("{kind}_downstream")).unwrap();
        ping(&mut client, b"").await.unwrap();
        let mut back = [0; 5];
        within(tokio::io::AsyncReadExt::read_exact(&mut client, &mut back)).await.unwrap();
        assert_eq!(&back, b"hello");
    }
}

#[tokio::test]
async fn a_window_that_closes_lets_go_what_the_fault_holds() {
    let hour = [("accept_delay", "delay"), ("connect_delay", "delay"), ("connect_timeout", "timeout")];
    let hour = hour.map(|(kind, attribute)| (kind, json!({attribute: "1h"})));
    for (kind, attributes) in hour.into_iter().chain([("no_upstream", json!({}))]) {
        let (controller, proxy) = echo_proxy().await;
        let when = json!({"duration": 300});
        controller
            .add_toxic("p", toxic(json!({"type": kind, "attributes": attributes, "when": when})))
            .unwrap();
        let before = Instant::now();
        let mut client = connect(&proxy).await;
        // Silent until then: what no_upstream has swallowed cannot be delivered.
        until(|| before.elapsed() >= Duration::from_millis(300)).await;
        assert_eq!(ping(&mut client, b"let go").await.unwrap(), b"let go", "{kind}");
        assert_eq!(controller.toxic("p", &format!("{kind}_downstream")).unwrap().applied, 1, "{kind}");
    }
}

#[tokio::test]
async fn connect_timeout_closes_as_a_dial_that_timed_out() {
    let (controller, proxy) = faulty("connect_timeout", json!({"timeout": 120})).await;
    let mut events = controller.events("p").unwrap();
    let before = Instant::now();
    let mut client = connect(&proxy).await;
    let failed = next_of(&mut events, "connection_failed").await;
    assert_eq!(failed["reason"], "timeout");
    assert!(before.elapsed() >= Duration::from_millis(120));
    assert_eq!(rest(&mut client).await.unwrap(), b"");
}

#[tokio::test]
async fn a_swallowed_dial_goes_on_when_the_fault_ends() {
    let (controller, proxy) = faulty("connect_timeout", json!({"timeout": "1h"})).await;
    let mut client = connect(&proxy).await;
    reaches(&controller, "dialing").await;
    controller.remove_toxic("p", "connect_timeout_downstream").unwrap();
    ping(&mut client, b"healed").await.unwrap();
}

#[tokio::test]
async fn no_upstream_swallows_and_ends_with_the_fault() {
    let (controller, proxy) = faulty("no_upstream", json!({})).await;
    let mut client = connect(&proxy).await;
    client.write_all(&vec![0; 8 << 20]).await.unwrap();
    assert_eq!(controller.connections(Some("p")).unwrap().len(), 1);
    controller.remove_toxic("p", "no_upstream_downstream").unwrap();
    let _ = rest(&mut client).await;
    open(&proxy).await;
}

#[tokio::test]
async fn no_upstream_ends_with_its_client() {
    let (controller, proxy) = faulty("no_upstream", json!({})).await;
    let mut events = controller.events("p").unwrap();
    let mut client = connect(&proxy).await;
    client.write_all(b"into the void").await.unwrap();
    drop(client);
    assert_eq!(next_of(&mut events, "connection_failed").await["reason"], "client_gone");
    until(|| controller.connections(Some("p")).unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_refused_dial_closes_the_client_and_is_counted() {
    let controller = controller();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = controller.create(ProxySpec::new("p", closed.to_string())).await.unwrap();
    let mut events = controller.events("p").unwrap();
    let mut client = connect(&proxy).await;
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    assert_eq!(next_of(&mut events, "connection_failed").await["reason"], "refused");
    let totals = controller.totals();
    assert_eq!(totals[0].failed.get("refused"), Some(&1));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_counted_as_such() {
    let controller = controller();
    // No label is that long, so no resolver needs to be asked.
    let name = format!("{}.test:80", "x".repeat(64));
    let proxy = controller.create(ProxySpec::new("p", name)).await.unwrap();
    let mut events = controller.events("p").unwrap();
    let _client = connect(&proxy).await;
    assert_eq!(next_of(&mut events, "connection_failed").await["reason"], "resolve");
}

#[tokio::test]
async fn an_upstream_that_swallows_blocks_nobody() {
    let upstream = Swallowing::new();
    let controller = controller_with(|options| options.dial_timeout = Duration::from_secs(3600));
    let proxy = controller.create(ProxySpec::new("p", upstream.addr.to_string())).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(connect(&proxy).await);
    }
    until(|| controller.connections(Some("p")).unwrap().len() == 20).await;
    let off = ProxyPatch { enabled: Some(false), ..ProxyPatch::default() };
    within(controller.update("p", off)).await.unwrap();
    assert!(is_refused(&proxy.listen).await);
    for client in &mut clients {
        let _ = rest(client).await;
    }
}

#[tokio::test]
async fn a_dial_has_a_limit() {
    let upstream = Swallowing::new();
    let controller = controller_with(|options| options.dial_timeout = Duration::from_millis(100));
    let proxy = controller.create(ProxySpec::new("p", upstream.addr.to_string())).await.unwrap();
    let mut events = controller.events("p").unwrap();
    let mut client = connect(&proxy).await;
    assert_eq!(next_of(&mut events, "connection_failed").await["reason"], "timeout");
    assert_eq!(rest(&mut client).await.unwrap(), b"");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_dial() {
    let upstream = Swallowing::new();
    let controller = controller_with(|options| options.dial_timeout = Duration::from_secs(3600));
    let proxy = controller.create(ProxySpec::new("p", upstream.addr.to_string())).await.unwrap();
    let mut events = controller.events("p").unwrap();
    let client = connect(&proxy).await;
    reaches(&controller, "dialing").await;
    reset(client);
    assert_eq!(next_of(&mut events, "connection_failed").await["reason"], "client_gone");
    until(|| controller.connections(Some("p")).unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_client_that_has_only_finished_sending_is_served() {
    let (_controller, proxy) = faulty("connect_delay", json!({"delay": 100})).await;
    let mut client = connect(&proxy).await;
    client.write_all(b"request").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"request");
}

#[tokio::test]
async fn a_dialling_connection_can_be_closed() {
    let (controller, proxy) = faulty("connect_delay", json!({"delay": "1h"})).await;
    let mut client = connect(&proxy).await;
    let id = reaches(&controller, "dialing").await.id;
    controller.close_connection("p", id).unwrap();
    assert!(was_reset(&mut client).await);
    until(|| controller.close_connection("p", id).is_err()).await;
}
