//! Labels: set, kept and lost with the proxy, and nothing that a connection notices.

use std::collections::BTreeMap;

use sabot_proxy::{ControlError, ProxyPatch, ProxySpec};

use crate::support::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_patch_replaces_them_all_and_touches_no_connection() {
    let controller = controller();
    let first = labels(&[("service", "pay"), ("env", "prod")]);
    let spec = ProxySpec { labels: first.clone(), ..ProxySpec::new("p", echo().await.to_string()) };
    let proxy = controller.create(spec).await.unwrap();
    assert_eq!(proxy.labels, first);
    let mut client = open(&proxy).await;

    let set = |labels| ProxyPatch { labels: Some(labels), ..ProxyPatch::default() };
    let bad = ProxyPatch { enabled: Some(false), ..set(labels(&[("env", "a b")])) };
    let error = controller.update("p", bad).await.unwrap_err();
    assert!(matches!(&error, ControlError::Invalid(invalid) if invalid.field == "labels.env"), "{error:?}");
    let kept = controller.update("p", ProxyPatch::default()).await.unwrap();
    assert_eq!((&kept.labels, kept.enabled), (&first, true));

    let second = labels(&[("service", "orders")]);
    assert_eq!(controller.update("p", set(second.clone())).await.unwrap().labels, second);
    assert_eq!(controller.list()[0].labels, second);
    assert!(controller.update("p", set(labels(&[]))).await.unwrap().labels.is_empty());
    ping(&mut client, b"still").await.unwrap();
}

#[tokio::test]
async fn populate_keeps_those_of_a_proxy_that_it_replaces_unless_it_gives_others() {
    let controller = controller();
    let first = labels(&[("service", "pay")]);
    let spec = ProxySpec { labels: first.clone(), ..ProxySpec::new("p", echo().await.to_string()) };
    let proxy = controller.create(spec).await.unwrap();
    let again = ProxySpec { listen: Some(proxy.listen.clone()), ..ProxySpec::new("p", &proxy.upstream) };
    assert_eq!(controller.populate(vec![again.clone()]).await.unwrap()[0].labels, first);
    let moved = ProxySpec { upstream: echo().await.to_string(), ..again };
    assert_eq!(controller.populate(vec![moved.clone()]).await.unwrap()[0].labels, first);
    let others =
        ProxySpec { labels: labels(&[("service", "orders")]), upstream: echo().await.to_string(), ..moved };
    assert_eq!(controller.populate(vec![others.clone()]).await.unwrap()[0].labels, others.labels);
}

#[tokio::test]
async fn a_configuration_sets_them_under_live_connections() {
    let controller = controller();
    let spec = ProxySpec { labels: labels(&[("env", "a")]), ..ProxySpec::new("p", echo().await.to_string()) };
    controller.apply(vec![spec.clone()]).await.unwrap();
    let mut client = open(&controller.proxy("p").unwrap()).await;
    assert!(controller.apply(vec![spec.clone()]).await.unwrap().changed.is_empty());
    let other = ProxySpec { labels: labels(&[("env", "b")]), ..spec.clone() };
    assert_eq!(controller.apply(vec![other.clone()]).await.unwrap().changed, ["p"]);
    assert_eq!(controller.proxy("p").unwrap().labels, other.labels);
    let bad = ProxySpec { labels: labels(&[("", "b")]), ..spec };
    assert!(matches!(controller.apply(vec![bad]).await, Err(ControlError::Invalid(_))));
    assert_eq!(controller.proxy("p").unwrap().labels, other.labels);
    ping(&mut client, b"still").await.unwrap();
}
