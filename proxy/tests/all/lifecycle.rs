//! Proxies come, change and go.

use std::net::SocketAddr;

use sabot_proxy::{ControlError, ProxyPatch, ProxySpec};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::support::*;

fn spec(name: &str, listen: Option<&str>, upstream: impl ToString) -> ProxySpec {
    ProxySpec { listen: listen.map(str::to_owned), ..ProxySpec::new(name, upstream.to_string()) }
}

fn enabled(on: bool) -> ProxyPatch {
    ProxyPatch { enabled: Some(on), ..ProxyPatch::default() }
}

fn listen(at: &str) -> ProxyPatch {
    ProxyPatch { listen: Some(at.to_owned()), ..ProxyPatch::default() }
}

fn upstream(at: impl ToString) -> ProxyPatch {
    ProxyPatch { upstream: Some(at.to_string()), ..ProxyPatch::default() }
}

#[tokio::test]
async fn localhost_and_port_0_are_resolved() {
    let (controller, target) = (controller(), echo().await);
    let proxy = controller.create(spec("p", Some("localhost:0"), target)).await.unwrap();
    let addr: SocketAddr = proxy.listen.parse().unwrap();
    assert_eq!(addr.ip().to_string(), "127.0.0.1");
    assert_ne!(addr.port(), 0);
    open(&proxy).await;
}

#[tokio::test]
async fn no_listen_is_a_free_port_on_all_interfaces() {
    let (controller, target) = (controller(), echo().await);
    for (name, listen) in [("none", None), ("empty", Some(""))] {
        let proxy = controller.create(spec(name, listen, target)).await.unwrap();
        let addr: SocketAddr = proxy.listen.parse().unwrap();
        assert!(addr.ip().is_unspecified() && addr.port() != 0, "{addr}");
        open(&proxy).await;
    }
}

#[tokio::test]
async fn what_was_never_enabled_stays_verbatim_and_a_port_is_kept() {
    let (controller, target) = (controller(), echo().await);
    let off = ProxySpec { enabled: false, ..spec("p", Some("localhost:0"), target) };
    assert_eq!(controller.create(off).await.unwrap().listen, "localhost:0");
    let on = controller.update("p", enabled(true)).await.unwrap();
    assert!(on.enabled && on.listen.starts_with("127.0.0.1:"), "{}", on.listen);
    let off = controller.update("p", enabled(false)).await.unwrap();
    assert!(!off.enabled);
    assert_eq!(off.listen, on.listen);
    let again = controller.update("p", enabled(true)).await.unwrap();
    assert_eq!(again.listen, on.listen);
    open(&again).await;
}

#[tokio::test]
async fn disabling_closes_everything_before_it_returns() {
    let (controller, proxy) = echo_proxy().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(open(&proxy).await);
    }
    controller.add_toxic("p", simple("noop", json!({}))).unwrap();
    let off = controller.update("p", enabled(false)).await.unwrap();
    assert_eq!(off.open_connections, 0);
    assert!(is_refused(&proxy.listen).await);
    for mut client in clients {
        // Already there: no wait.
        let mut byte = [0];
        assert_eq!(client.try_read(&mut byte).unwrap_or(0), 0);
        assert_eq!(rest(&mut client).await.unwrap(), b"");
    }
    assert_eq!(names(&controller, "p"), ["noop_downstream"]);
    assert!(controller.connections(Some("p")).unwrap().is_empty());
}

#[tokio::test]
async fn an_update_with_the_same_address_restarts_nothing() {
    let (controller, proxy) = echo_proxy().await;
    let mut client = open(&proxy).await;
    let port = reach(&proxy.listen).port();
    for same in
        [listen(&format!("localhost:{port}")), listen(&proxy.listen), enabled(true), ProxyPatch::default()]
    {
        let after = controller.update("p", same).await.unwrap();
        assert_eq!(after.listen, proxy.listen);
        ping(&mut client, b"still").await.unwrap();
    }
    let target = upstream(&proxy.upstream);
    controller.update("p", target).await.unwrap();
    ping(&mut client, b"still").await.unwrap();
}

#[tokio::test]
async fn a_free_port_asked_for_again_is_the_one_there_is() {
    let (controller, target) = (controller(), echo().await);
    let proxy = controller.create(spec("p", Some("127.0.0.1:0"), target)).await.unwrap();
    let mut client = open(&proxy).await;
    let after = controller.update("p", listen("127.0.0.1:0")).await.unwrap();
    assert_eq!(after.listen, proxy.listen);
    ping(&mut client, b"still").await.unwrap();
}

#[tokio::test]
async fn another_upstream_drops_connections_and_keeps_toxics() {
    let (controller, proxy) = echo_proxy().await;
    controller.add_toxic("p", simple("noop", json!({}))).unwrap();
    let mut client = open(&proxy).await;
    let other = serve(|mut stream| async move { stream.write_all(b"other").await.unwrap() }).await;
    let after = controller.update("p", upstream(other)).await.unwrap();
    assert_eq!((&after.listen, after.enabled), (&proxy.listen, true));
    assert_eq!(rest(&mut client).await.unwrap_or_default(), b"");
    assert_eq!(rest(&mut connect(&after).await).await.unwrap(), b"other");
    assert_eq!(names(&controller, "p"), ["noop_downstream"]);
}

#[tokio::test]
async fn another_listen_moves_the_proxy() {
    let (controller, proxy) = echo_proxy().await;
    let mut client = open(&proxy).await;
    let after = controller.update("p", listen("[::1]:0")).await.unwrap();
    assert!(after.listen.starts_with("[::1]:"), "{}", after.listen);
    assert_eq!(rest(&mut client).await.unwrap_or_default(), b"");
    assert!(is_refused(&proxy.listen).await);
    open(&after).await;
}

#[tokio::test]
async fn the_same_port_on_other_interfaces_is_another_address() {
    let (controller, _) = echo_proxy().await;
    // A port that is free on all of them.
    let everywhere = controller.update("p", listen("0.0.0.0:0")).await.unwrap();
    let port = reach(&everywhere.listen).port();
    for address in ["127.0.0.1", "0.0.0.0"] {
        let after = controller.update("p", listen(&format!("{address}:{port}"))).await.unwrap();
        assert_eq!(after.listen, format!("{address}:{port}"));
        open(&after).await;
    }
}

#[tokio::test]
async fn a_rejected_update_changes_nothing() {
    let (controller, proxy) = echo_proxy().await;
    let mut client = open(&proxy).await;
    let busy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = busy.local_addr().unwrap().to_string();
    let bad =
        ProxyPatch { listen: Some(taken), upstream: Some("other:1".to_owned()), ..ProxyPatch::default() };
    assert!(matches!(controller.update("p", bad).await, Err(ControlError::Bind { .. })));
    for (patch, field) in [(listen("nonsense"), "listen"), (upstream(""), "upstream")] {
        let error = controller.update("p", patch).await.unwrap_err();
        assert!(matches!(&error, ControlError::Invalid(invalid) if invalid.field == field), "{error:?}");
    }
    assert_eq!(controller.proxy("p").unwrap().upstream, proxy.upstream);
    assert_eq!(controller.proxy("p").unwrap().listen, proxy.listen);
    ping(&mut client, b"still").await.unwrap();
    drop(busy);
}

#[tokio::test]
async fn creating_says_what_is_wrong() {
    let (controller, proxy) = echo_proxy().await;
    let exists = controller.create(spec("p", Some("127.0.0.1:0"), "x:1")).await.unwrap_err();
    assert!(matches!(exists, ControlError::ProxyExists { .. }));
    for (bad, field) in [
        (spec("", None, "x:1"), "name"),
        (spec("q", None, ""), "upstream"),
        (spec("q", Some("::1:1"), "x:1"), "listen"),
    ] {
        let error = controller.create(bad).await.unwrap_err();
        assert!(matches!(&error, ControlError::Invalid(invalid) if invalid.field == field), "{error:?}");
    }
    let bind = controller.create(spec("q", Some(&proxy.listen), "x:1")).await.unwrap_err();
    assert!(matches!(bind, ControlError::Bind { .. }));
    assert_eq!(controller.list().len(), 1);
}

#[tokio::test]
async fn a_proxy_with_a_bad_toxic_is_not_created() {
    let controller = controller();
    let toxics = vec![simple("noop", json!({})), simple("noop", json!({}))];
    let twice = ProxySpec { toxics, ..spec("p", Some("127.0.0.1:0"), "x:1") };
    let error = controller.create(twice).await.unwrap_err();
    assert!(
        matches!(&error, ControlError::Invalid(invalid) if invalid.field == "toxics[1].name"),
        "{error:?}"
    );
    assert!(controller.list().is_empty());
}

#[tokio::test]
async fn an_upstream_without_a_port_is_taken_and_fails_at_the_dial() {
    let controller = controller();
    let proxy = controller.create(spec("p", Some("127.0.0.1:0"), "localhost")).await.unwrap();
    assert_eq!(proxy.upstream, "localhost");
    let mut events = controller.events("p").unwrap();
    let mut client = connect(&proxy).await;
    next_of(&mut events, "connection_failed").await;
    assert_eq!(rest(&mut client).await.unwrap_or_default(), b"");
}

#[tokio::test]
async fn names_hold_any_characters_and_lists_are_sorted() {
    let controller = controller();
    let strange = ["z", "a b", "a:b@c", "ü/ñ", "a/b/../c", "%2F", "\u{1F45E}", "A"];
    for name in strange {
        controller.create(spec(name, Some("127.0.0.1:0"), "x:1")).await.unwrap();
        controller.add_toxic(name, simple("noop", json!({}))).unwrap();
        assert_eq!(controller.proxy(name).unwrap().name, name);
    }
    let listed: Vec<_> = controller.list().into_iter().map(|proxy| proxy.name).collect();
    let mut sorted = strange.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(listed, sorted);
    for name in strange {
        controller.delete(name).await.unwrap();
    }
    assert!(controller.list().is_empty());
}

#[tokio::test]
async fn a_deleted_proxy_is_gone_with_its_connections() {
    let (controller, proxy) = echo_proxy().await;
    let mut events = controller.events("p").unwrap();
    let mut client = open(&proxy).await;
    controller.delete("p").await.unwrap();
    assert!(is_refused(&proxy.listen).await);
    assert_eq!(rest(&mut client).await.unwrap_or_default(), b"");
    assert!(matches!(controller.proxy("p"), Err(ControlError::ProxyNotFound { .. })));
    assert!(matches!(controller.delete("p").await, Err(ControlError::ProxyNotFound { .. })));
    // The event stream ends with the proxy.
    within(async { while events.recv().await.is_ok() {} }).await;
}

#[tokio::test]
async fn reset_enables_every_proxy_and_removes_every_toxic() {
    let (controller, proxy) = echo_proxy().await;
    let off = ProxySpec { enabled: false, ..spec("q", Some("127.0.0.1:0"), &proxy.upstream) };
    controller.create(off).await.unwrap();
    for name in ["p", "q"] {
        controller.add_toxic(name, simple("noop", json!({}))).unwrap();
    }
    let mut client = open(&proxy).await;
    controller.reset().await.unwrap();
    assert!(controller.list().iter().all(|proxy| proxy.enabled && proxy.toxics.is_empty()));
    open(&controller.proxy("q").unwrap()).await;
    ping(&mut client, b"still").await.unwrap();
}

#[tokio::test]
async fn unix_sockets_serve_on_either_side() {
    let controller = controller();
    let dir = tempfile::tempdir().unwrap();
    let (front, back) = (dir.path().join("front"), dir.path().join("back"));
    let server = UnixListener::bind(&back).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        }
    });
    let address = format!("unix:{}", front.display());
    let proxy =
        controller.create(spec("p", Some(&address), format!("unix:{}", back.display()))).await.unwrap();
    assert_eq!(proxy.listen, address);
    let mut client = within(UnixStream::connect(&front)).await.unwrap();
    client.write_all(b"over unix").await.unwrap();
    client.shutdown().await.unwrap();
    let mut back = Vec::new();
    within(client.read_to_end(&mut back)).await.unwrap();
    assert_eq!(back, b"over unix");
    controller.delete("p").await.unwrap();
    assert!(!front.exists(), "the socket file goes with its proxy");
}

#[tokio::test]
async fn with_the_last_controller_everything_is_gone() {
    let (controller, proxy) = echo_proxy().await;
    let other = controller.clone();
    let mut client = open(&proxy).await;
    drop(controller);
    ping(&mut client, b"still").await.unwrap();
    drop(other);
    assert!(is_refused(&proxy.listen).await);
    assert_eq!(rest(&mut client).await.unwrap_or_default(), b"");
}

#[tokio::test]
async fn a_port_can_be_taken_over_by_another_proxy_at_once() {
    let (controller, proxy) = echo_proxy().await;
    for turn in 0..20 {
        let clients = [open(&controller.list()[0]).await, connect(&controller.list()[0]).await];
        controller.delete(&controller.list()[0].name).await.unwrap();
        let name = format!("p{turn}");
        controller.create(spec(&name, Some(&proxy.listen), &proxy.upstream)).await.unwrap();
        drop(clients);
    }
    open(&controller.list()[0]).await;
}

#[tokio::test]
async fn clients_that_wait_in_the_backlog_are_not_left_hanging() {
    let (controller, proxy) = echo_proxy().await;
    let addr = reach(&proxy.listen);
    let dialling: Vec<_> = (0..50).map(|_| tokio::spawn(TcpStream::connect(addr))).collect();
    controller.update("p", enabled(false)).await.unwrap();
    for client in dialling {
        if let Ok(mut client) = within(client).await.unwrap() {
            let _ = rest(&mut client).await;
        }
    }
}

#[tokio::test]
async fn nothing_is_left_of_proxies_that_came_and_went() {
    let (controller, kept) = echo_proxy().await;
    let before = controller.tasks();
    for turn in 0..30 {
        let name = format!("p{turn}");
        let proxy = controller.create(spec(&name, Some("127.0.0.1:0"), &kept.upstream)).await.unwrap();
        let lease = json!({"type": "noop", "when": {"expires_after": "1h"}});
        controller.add_toxic(&name, toxic(lease)).unwrap();
        let _client = open(&proxy).await;
        for on in [false, true] {
            controller.update(&name, enabled(on)).await.unwrap();
        }
        controller.delete(&name).await.unwrap();
    }
    until(|| controller.tasks() == before).await;
}
