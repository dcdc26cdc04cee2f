//! Faults that injections own: beside the toxics that people set, and not of them.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use sabot_proxy::{ControlError, Controller, Lost, ProxyPatch, ProxySpec, ToxicPatch, Why};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// What is told of losses from now on.
fn losses(controller: &Controller) -> Receiver<Lost> {
    let (tell, told) = channel();
    controller.on_lost(move |lost| drop(tell.send(lost)));
    told
}

fn lost(injection: &str, why: Why) -> Lost {
    Lost { proxy: "p".to_owned(), injection: injection.to_owned(), why }
}

fn injected(controller: &Controller) -> Vec<(String, String)> {
    let faults = controller.proxy("p").unwrap().injected;
    faults.into_iter().map(|fault| (fault.name, fault.owner.unwrap())).collect()
}

fn slow() -> sabot_toxics::ToxicSpec {
    simple("latency", json!({"latency": 60_000}))
}

fn enabled(enabled: bool) -> ProxyPatch {
    ProxyPatch { enabled: Some(enabled), ..ProxyPatch::default() }
}

#[tokio::test]
async fn the_two_layers_have_names_of_their_own() {
    let (controller, _) = echo_proxy().await;
    let fault = controller.inject("p", "i-1", simple("noop", json!({}))).unwrap();
    assert_eq!((fault.name.as_str(), fault.owner.as_deref()), ("noop_downstream", Some("i-1")));
    let toxic = controller.add_toxic("p", simple("noop", json!({}))).unwrap();
    assert_eq!((toxic.name.as_str(), toxic.owner), ("noop_downstream", None));
    let again = controller.inject("p", "i-2", simple("noop", json!({})));
    assert!(matches!(again, Err(ControlError::ToxicExists { .. })));

    let seen = controller.proxy("p").unwrap();
    assert_eq!((seen.toxics.len(), seen.injected.len()), (1, 1));
    assert_eq!(controller.toxic("p", "noop_downstream").unwrap().owner, None);
    assert_eq!(controller.injected("p", "noop_downstream").unwrap().owner.as_deref(), Some("i-1"));
    controller.remove_toxic("p", "noop_downstream").unwrap();
    let error = controller.remove_toxic("p", "noop_downstream").unwrap_err();
    let told = "`noop_downstream` belongs to injection i-1: end it with `sabot revert i-1`";
    assert_eq!(error.to_string(), told);
    let patch = ToxicPatch { toxicity: Some(0.0), ..ToxicPatch::default() };
    let error = controller.update_toxic("p", "noop_downstream", patch).unwrap_err();
    assert!(matches!(error, ControlError::Injected { .. }), "{error:?}");
    assert_eq!(injected(&controller), [("noop_downstream".to_owned(), "i-1".to_owned())]);
}

#[tokio::test]
async fn what_cannot_be_injected_is_known_before() {
    let (controller, proxy) = echo_proxy().await;
    assert!(controller.check_fault("p", &slow()).is_ok());
    let mut nameless = slow();
    nameless.name = "a\u{7}".to_owned();
    let http = simple("http_delay", json!({}));
    let before = controller.proxy("p").unwrap();
    for (proxy, spec, told) in [
        ("q", slow(), "there is no proxy `q`"),
        ("p", nameless, "name: must not hold control characters"),
        ("p", http, "type: http_delay acts on HTTP requests"),
    ] {
        let checked = controller.check_fault(proxy, &spec).unwrap_err().to_string();
        assert!(checked.starts_with(told), "{checked}");
        assert_eq!(controller.inject(proxy, "i", spec).unwrap_err().to_string(), checked);
    }
    for id in ["", "a\nb"] {
        let error = controller.inject("p", id, slow()).unwrap_err();
        assert!(matches!(&error, ControlError::Invalid(invalid) if invalid.field == "injection"));
    }
    assert_eq!(controller.proxy("p").unwrap(), before, "nothing has changed");
    controller.update("p", enabled(false)).await.unwrap();
    for error in [controller.check_fault("p", &slow()), controller.inject("p", "i", slow()).map(drop)] {
        assert!(matches!(error, Err(ControlError::ProxyDisabled { .. })), "{error:?}");
    }
    controller.update("p", enabled(true)).await.unwrap();
    open(&controller.proxy(&proxy.name).unwrap()).await;
}

#[tokio::test]
async fn a_revert_hands_on_what_is_held_at_once() {
    let (controller, proxy) = echo_proxy().await;
    let mut client = open(&proxy).await;
    controller.inject("p", "i-1", slow()).unwrap();
    controller.inject("p", "i-2", simple("noop", json!({}))).unwrap();
    let mut events = controller.events("p").unwrap();
    client.write_all(b"held").await.unwrap();
    until(|| controller.connections(Some("p")).unwrap()[0].held_bytes > 0).await;
    let holders = controller.connections(Some("p")).unwrap().remove(0).toxics;
    assert_eq!(holders, ["latency_downstream", "noop_downstream"]);
    assert_eq!(controller.totals()[0].applied["latency"], 1);
    let told = losses(&controller);
    let before = Instant::now();
    assert!(controller.revert("p", "i-1"));
    let mut back = [0; 4];
    within(client.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"held");
    // Not by the end of its minute.
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    assert_eq!(next_of(&mut events, "toxic_removed").await["toxic"], "latency_downstream");
    assert_eq!(injected(&controller), [("noop_downstream".to_owned(), "i-2".to_owned())]);
    assert!(!controller.revert("p", "i-1") && !controller.revert("q", "i-2"));
    // Whoever reverts knows.
    assert_eq!(told.try_iter().count(), 0);
}

#[tokio::test]
async fn injected_faults_come_after_the_toxics() {
    let (controller, proxy) = echo_proxy().await;
    let cut = toxic(json!({"type": "limit_data", "name": "cut", "attributes": {"bytes": 3}}));
    controller.inject("p", "i", cut).unwrap();
    // Added later, and before it all the same: what it holds has not reached the limit.
    controller.add_toxic("p", slow()).unwrap();
    let mut client = connect(&proxy).await;
    client.write_all(b"12345").await.unwrap();
    until(|| controller.connections(Some("p")).unwrap().first().is_some_and(|it| it.held_bytes == 5)).await;
    assert_eq!(controller.injected("p", "cut").unwrap().applied, 0);
    controller.remove_toxic("p", "latency_downstream").unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"123");
}

#[tokio::test]
async fn reset_populate_and_configurations_leave_them() {
    let controller = controller();
    let spec = ProxySpec {
        toxics: vec![simple("noop", json!({}))],
        ..ProxySpec::new("p", echo().await.to_string())
    };
    controller.apply(vec![spec.clone()]).await.unwrap();
    let told = losses(&controller);
    controller.inject("p", "i", simple("latency", json!({"latency": 1}))).unwrap();
    let there = [("latency_downstream".to_owned(), "i".to_owned())];
    controller.reset().await.unwrap();
    assert_eq!((names(&controller, "p").len(), injected(&controller)), (0, there.to_vec()));
    controller.populate(vec![spec.clone()]).await.unwrap();
    assert_eq!(injected(&controller), there);
    for toxics in [spec.toxics.clone(), vec![], vec![slow()]] {
        let count = toxics.len();
        let changed = controller.apply(vec![ProxySpec { toxics, ..spec.clone() }]).await.unwrap().changed;
        assert_eq!(changed, ["p"]);
        assert_eq!((names(&controller, "p").len(), injected(&controller)), (count, there.to_vec()));
    }
    // A reload that says the same changes nothing, whatever is injected.
    let same = ProxySpec { toxics: vec![slow()], ..spec };
    assert!(controller.apply(vec![same]).await.unwrap().changed.is_empty());
    assert_eq!(told.try_iter().count(), 0);
}

#[tokio::test]
async fn an_injection_is_told_once_what_became_of_its_proxy() {
    type Change = fn(Controller, ProxySpec) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
    let ways: [(Change, Why, bool); 6] = [
        (|it, _| Box::pin(async move { it.delete("p").await.unwrap() }), Why::Deleted, false),
        (
            |it, _| Box::pin(async move { drop(it.update("p", enabled(false)).await.unwrap()) }),
            Why::Disabled,
            true,
        ),
        (
            |it, spec| {
                let off = ProxySpec { enabled: false, ..spec };
                Box::pin(async move { drop(it.apply(vec![off]).await.unwrap()) })
            },
            Why::Disabled,
            true,
        ),
        (
            |it, spec| {
                let other = ProxySpec { upstream: "localhost:1".to_owned(), ..spec };
                Box::pin(async move { drop(it.populate(vec![other]).await.unwrap()) })
            },
            Why::Replaced,
            true,
        ),
        (
            |it, spec| {
                let other = ProxySpec { upstream: "localhost:1".to_owned(), ..spec };
                Box::pin(async move { drop(it.apply(vec![other]).await.unwrap()) })
            },
            Why::Replaced,
            true,
        ),
        (|it, _| Box::pin(async move { drop(it.apply(vec![]).await.unwrap()) }), Why::Deleted, false),
    ];
    for (change, why, stays) in ways {
        let controller = controller();
        let spec = ProxySpec::new("p", echo().await.to_string());
        controller.apply(vec![spec.clone()]).await.unwrap();
        let told = losses(&controller);
        let name = |name: &str| toxic(json!({"type": "noop", "name": name}));
        controller.add_toxic("p", name("mine")).unwrap();
        for (id, fault) in [("i-2", "a"), ("i-1", "b"), ("i-2", "c")] {
            controller.inject("p", id, name(fault)).unwrap();
        }
        let _client = open(&controller.proxy("p").unwrap()).await;
        change(controller.clone(), spec).await;
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [lost("i-1", why), lost("i-2", why)], "{why}");
        if stays {
            assert!(injected(&controller).is_empty());
            controller.update("p", enabled(true)).await.unwrap();
            assert!(injected(&controller).is_empty());
        }
        assert_eq!(controller.proxy("p").is_ok(), stays);
    }
}

#[tokio::test]
async fn a_refused_change_loses_nothing() {
    let (controller, proxy) = echo_proxy().await;
    let told = losses(&controller);
    controller.inject("p", "i", slow()).unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let moved = ProxySpec {
        listen: Some(taken.local_addr().unwrap().to_string()),
        ..ProxySpec::new("p", &proxy.upstream)
    };
    assert!(matches!(controller.populate(vec![moved]).await, Err(ControlError::Bind { .. })));
    // Another address is no other proxy: its toxics stay, and so does what is injected.
    let elsewhere = ProxyPatch { listen: Some("127.0.0.1:0".to_owned()), ..ProxyPatch::default() };
    controller.update("p", elsewhere).await.unwrap();
    assert_eq!((injected(&controller).len(), told.try_iter().count()), (1, 0));
}

#[tokio::test]
async fn the_server_ends_what_expires_and_tells() {
    let (controller, _) = echo_proxy().await;
    let told = losses(&controller);
    let mut events = controller.events("p").unwrap();
    let lease =
        |name: &str, ms: u64| toxic(json!({"type": "noop", "name": name, "when": {"expires_after": ms}}));
    let before = Instant::now();
    controller.add_toxic("p", lease("mine", 60)).unwrap();
    let fault = controller.inject("p", "i", lease("theirs", 120)).unwrap();
    assert!(fault.expires_in_ms.is_some_and(|left| left <= 120.0));
    for (name, ms) in [("mine", 60), ("theirs", 120)] {
        let gone = next_of(&mut events, "toxic_removed").await;
        assert_eq!((&gone["toxic"], &gone["expired"]), (&json!(name), &Value::Bool(true)));
        assert!(before.elapsed() >= Duration::from_millis(ms), "early");
    }
    // A toxic of people is nobody's loss.
    assert_eq!(told.recv_timeout(LIMIT), Ok(lost("i", Why::Expired)));
    assert_eq!(told.try_iter().count(), 0);
}

/// Which of 64 connections the toxic `half` draws, with or without an injection of that name.
async fn drawn(injection: Option<&str>) -> [Vec<bool>; 2] {
    let (controller, proxy) = echo_proxy().await;
    let half = |kind: &str| toxic(json!({"type": kind, "name": "half", "toxicity": 0.5}));
    controller.add_toxic("p", half("noop")).unwrap();
    if let Some(id) = injection {
        controller.inject("p", id, half("latency")).unwrap();
    }
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(open(&proxy).await);
    }
    // Which of the two a name stands for, only the count says: both, one or none.
    let live = controller.connections(Some("p")).unwrap();
    let held: Vec<_> = live.iter().map(|connection| connection.toxics.len()).collect();
    assert_eq!(held.len(), 64);
    controller.remove_toxic("p", "half").unwrap();
    let live = controller.connections(Some("p")).unwrap();
    let theirs: Vec<_> = live.iter().map(|connection| !connection.toxics.is_empty()).collect();
    let mine = held.iter().zip(&theirs).map(|(count, theirs)| count - usize::from(*theirs) == 1).collect();
    [mine, theirs]
}

#[tokio::test]
async fn the_layers_draw_apart() {
    let [alone, none] = drawn(None).await;
    assert!(none.iter().all(|drawn| !drawn));
    let [beside, theirs] = drawn(Some("i-1")).await;
    assert_eq!(beside, alone, "an injection moves no draw of a toxic");
    assert_ne!(theirs, beside, "one name in two layers is two toxics");
    let count = theirs.iter().filter(|drawn| **drawn).count();
    assert!((16..48).contains(&count), "{count} of 64");
    assert_eq!(drawn(Some("i-2")).await[1], theirs, "and its id moves none of its own");
}
