//! Many proxies at once: all or none.

use sabot_proxy::{ControlError, ProxyPatch, ProxySpec};
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::*;

fn at(name: &str, listen: &str, upstream: &str) -> ProxySpec {
    ProxySpec { listen: Some(listen.to_owned()), ..ProxySpec::new(name, upstream) }
}

#[tokio::test]
async fn an_equal_proxy_is_left_untouched() {
    let (controller, proxy) = echo_proxy().await;
    controller.add_toxic("p", simple("noop", json!({}))).unwrap();
    let mut client = open(&proxy).await;
    let by_name = format!("localhost:{}", reach(&proxy.listen).port());
    for listen in ["127.0.0.1:0", &by_name, &proxy.listen] {
        let views = controller.populate(vec![at("p", listen, &proxy.upstream)]).await.unwrap();
        assert_eq!((&views[0].listen, views[0].toxics.len()), (&proxy.listen, 1));
        ping(&mut client, b"still").await.unwrap();
    }
}

#[tokio::test]
async fn an_equal_proxy_stays_disabled() {
    let (controller, proxy) = echo_proxy().await;
    let off = ProxyPatch { enabled: Some(false), ..ProxyPatch::default() };
    controller.update("p", off).await.unwrap();
    let views = controller.populate(vec![at("p", &proxy.listen, &proxy.upstream)]).await.unwrap();
    assert!(!views[0].enabled);
}

#[tokio::test]
async fn a_different_proxy_is_replaced() {
    let (controller, proxy) = echo_proxy().await;
    controller.add_toxic("p", simple("noop", json!({}))).unwrap();
    let mut client = open(&proxy).await;
    let other = echo().await.to_string();
    let views = controller.populate(vec![at("p", &proxy.listen, &other)]).await.unwrap();
    assert_eq!((&views[0].listen, &views[0].upstream), (&proxy.listen, &other));
    assert!(views[0].toxics.is_empty());
    assert_eq!(rest(&mut client).await.unwrap_or_default(), b"");
    open(&views[0]).await;
}

#[tokio::test]
async fn views_come_in_the_order_asked_for() {
    let controller = controller();
    let specs = ["z", "a", "m"].map(|name| at(name, "127.0.0.1:0", "x:1"));
    let views = controller.populate(specs.to_vec()).await.unwrap();
    assert_eq!(views.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), ["z", "a", "m"]);
    assert!(controller.populate(Vec::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn one_that_cannot_be_had_stops_all() {
    let (controller, proxy) = echo_proxy().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = open(&proxy).await;
    let specs = vec![
        at("new", "127.0.0.1:0", "x:1"),
        at("p", &proxy.listen, "changed:1"),
        at("bad", &taken.local_addr().unwrap().to_string(), "x:1"),
    ];
    assert!(matches!(controller.populate(specs).await, Err(ControlError::Bind { .. })));
    for bad in [at("bad", "nonsense", "x:1"), at("bad", "127.0.0.1:0", ""), at("", "127.0.0.1:0", "x:1")] {
        let specs = vec![at("new", "127.0.0.1:0", "x:1"), at("p", &proxy.listen, "changed:1"), bad];
        assert!(matches!(controller.populate(specs).await, Err(ControlError::Invalid(_))));
    }
    let after = controller.list();
    assert_eq!(after.len(), 1);
    assert_eq!((&after[0].listen, &after[0].upstream), (&proxy.listen, &proxy.upstream));
    ping(&mut client, b"still").await.unwrap();
    open(&after[0]).await;
}

#[tokio::test]
async fn ports_can_be_swapped() {
    let controller = controller();
    let (x, y) = (echo().await.to_string(), echo().await.to_string());
    let before =
        controller.populate(vec![at("a", "127.0.0.1:0", &x), at("b", "127.0.0.1:0", &y)]).await.unwrap();
    let swapped = vec![at("a", &before[1].listen, &x), at("b", &before[0].listen, &y)];
    let after = controller.populate(swapped).await.unwrap();
    assert_eq!((&after[0].listen, &after[1].listen), (&before[1].listen, &before[0].listen));
    open(&after[0]).await;
    open(&after[1]).await;
}

#[tokio::test]
async fn toxics_come_with_a_new_proxy() {
    let controller = controller();
    let toxics = vec![simple("latency", json!({"latency": 1})), simple("noop", json!({}))];
    let spec = ProxySpec { toxics, ..at("p", "127.0.0.1:0", &echo().await.to_string()) };
    let views = controller.populate(vec![spec]).await.unwrap();
    assert_eq!(views[0].toxics.len(), 2);
    open(&views[0]).await;
    assert_eq!(controller.toxic("p", "latency_downstream").unwrap().applied, 1);
}
