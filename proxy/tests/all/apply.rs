//! A configuration that is applied again: its proxies become what it says.

use sabot_proxy::{Controller, ProxySpec, ToxicPatch};
use sabot_toxics::ToxicSpec;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::*;

fn latency(ms: u64) -> ToxicSpec {
    simple("latency", json!({ "latency": ms }))
}

/// A configuration with one proxy `c`.
async fn configured(toxics: Vec<ToxicSpec>) -> (Controller, ProxySpec) {
    let controller = controller();
    let spec = ProxySpec { toxics, ..ProxySpec::new("c", echo().await.to_string()) };
    let summary = controller.apply(vec![spec.clone()]).await.unwrap();
    assert_eq!(summary.created, ["c"]);
    (controller, spec)
}

#[tokio::test]
async fn the_same_again_changes_nothing() {
    let (controller, spec) = configured(vec![latency(1)]).await;
    let mut client = open(&controller.proxy("c").unwrap()).await;
    let summary = controller.apply(vec![spec]).await.unwrap();
    assert!(summary.created.is_empty() && summary.changed.is_empty() && summary.removed.is_empty());
    ping(&mut client, b"still").await.unwrap();
    assert_eq!(controller.toxic("c", "latency_downstream").unwrap().applied, 1);
}

#[tokio::test]
async fn toxics_become_what_the_configuration_says() {
    let (controller, spec) = configured(vec![latency(1)]).await;
    let mut client = open(&controller.proxy("c").unwrap()).await;
    controller.add_toxic("c", simple("slicer", json!({"average_size": 1000}))).unwrap();
    let attributes = json!({"latency": 2}).as_object().cloned();
    let patch = ToxicPatch { attributes, ..ToxicPatch::default() };
    controller.update_toxic("c", "latency_downstream", patch).unwrap();

    let toxics = vec![simple("noop", json!({})), latency(3)];
    let summary = controller.apply(vec![ProxySpec { toxics, ..spec }]).await.unwrap();
    assert_eq!(summary.changed, ["c"]);
    assert_eq!(names(&controller, "c"), ["noop_downstream", "latency_downstream"]);
    let kept = controller.toxic("c", "latency_downstream").unwrap();
    assert_eq!((&kept.attributes["latency"], kept.applied), (&json!(3), 1));
    ping(&mut client, b"still").await.unwrap();
}

#[tokio::test]
async fn what_it_no_longer_names_goes_and_what_it_never_named_stays() {
    let (controller, spec) = configured(Vec::new()).await;
    controller.create(ProxySpec::new("mine", "x:1")).await.unwrap();
    let listen = controller.proxy("c").unwrap().listen;
    // The new one takes over the port of the one that goes.
    let renamed = ProxySpec { name: "d".to_owned(), listen: Some(listen.clone()), ..spec };
    let summary = controller.apply(vec![renamed]).await.unwrap();
    assert_eq!(
        (summary.created.as_slice(), summary.removed.as_slice()),
        (&["d".to_owned()][..], &["c".to_owned()][..])
    );
    let listed: Vec<_> = controller.list().into_iter().map(|proxy| proxy.name).collect();
    assert_eq!(listed, ["d", "mine"]);
    open(&controller.proxy("d").unwrap()).await;
}

#[tokio::test]
async fn one_that_cannot_be_had_changes_nothing() {
    let (controller, spec) = configured(vec![latency(1)]).await;
    let mut client = open(&controller.proxy("c").unwrap()).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bad =
        ProxySpec { listen: Some(taken.local_addr().unwrap().to_string()), ..ProxySpec::new("bad", "x:1") };
    let changed = ProxySpec { toxics: vec![latency(60_000)], ..spec };
    controller.apply(vec![changed, bad]).await.unwrap_err();
    assert_eq!(controller.list().len(), 1);
    assert_eq!(controller.toxic("c", "latency_downstream").unwrap().attributes["latency"], json!(1));
    ping(&mut client, b"still").await.unwrap();
}

#[tokio::test]
async fn enabled_follows_the_configuration_too() {
    let (controller, spec) = configured(Vec::new()).await;
    let listen = controller.proxy("c").unwrap().listen;
    controller.apply(vec![ProxySpec { enabled: false, ..spec.clone() }]).await.unwrap();
    assert!(is_refused(&listen).await);
    controller.apply(vec![spec]).await.unwrap();
    assert_eq!(controller.proxy("c").unwrap().listen, listen);
    open(&controller.proxy("c").unwrap()).await;
}
