//! What a slow or broken `payments` does to the shop, naive and protected.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use sabot_lab::{Mitigation, Mitigations};
use serde_json::json;
use support::{At, Shop};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// More writes at once than there are workers anywhere.
const CROWD: usize = 150;

/// A payments that takes connections and never answers.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    format!("http://{address}")
}

/// Places `CROWD` orders at once that nobody waits for.
fn crowd(shop: &Arc<Shop>, token: &str) -> JoinSet<u16> {
    let mut writes = JoinSet::new();
    for number in 0..CROWD {
        let (shop, token) = (Arc::clone(shop), token.to_owned());
        writes.spawn(async move { shop.place(&token, &format!("crowd-{number}"), 10).await.status });
    }
    writes
}

async fn workers_in_use(shop: &Shop, at: &At) -> f64 {
    shop.metric(at, "lab_pool_in_use", "pool=\"workers\"").await
}

#[tokio::test]
async fn naive_a_payment_that_hangs_takes_the_reads_along() {
    let shop = Arc::new(Shop::open_with(Mitigations::NONE, Some(silent().await)));
    let token = shop.token("t1").await;
    assert_eq!(shop.find(&token, "t1-1").await.status, 200);
    let mut writes = crowd(&shop, &token);
    // Writes that wait for three connections have taken every worker of the gateway.
    shop.until("the gateway is full", || async { workers_in_use(&shop, &shop.api).await >= 64.0 }).await;
    assert!(shop.metric(&shop.api, "lab_pool_waiting", "pool=\"workers\"").await >= 1.0);
    let read = tokio::time::timeout(Duration::from_secs(2), shop.find(&token, "t1-1")).await;
    assert!(read.is_err(), "a read came through: {read:?}");
    writes.shutdown().await;
}

#[tokio::test]
async fn protected_the_reads_go_on_and_the_orders_are_accepted() {
    let shop = Arc::new(Shop::open_with(Mitigations::ALL, Some(silent().await)));
    let token = shop.token("t1").await;
    let writes = crowd(&shop, &token);
    for _ in 0..20 {
        shop.until("a read comes through", || async { shop.find(&token, "t1-1").await.status == 200 }).await;
    }
    let statuses = writes.join_all().await;
    // What finds no room, or no end in time, is refused; the rest is accepted for later.
    assert!(statuses.iter().all(|status| [202, 503, 504].contains(status)), "{statuses:?}");
    // From then on one at a time: all are accepted, and soon without a call.
    for number in 0..20 {
        let key = format!("later-{number}");
        shop.until("it is accepted", || async { shop.place(&token, &key, 10).await.status == 202 }).await;
    }
    let mut pending = 0.0;
    for replica in &shop.orders {
        let opened = shop.metric(replica, "lab_breaker_transitions_total", "to=\"open\"").await;
        assert!(opened >= 1.0, "the breaker of a replica never opened");
        pending += shop.metric(replica, "lab_payments_pending", "").await;
    }
    // More, if an answer came too late for the gateway.
    let accepted = statuses.iter().filter(|status| **status == 202).count() + 20;
    assert!(pending >= accepted as f64, "{pending} pending of {accepted}");
}

#[tokio::test]
async fn what_was_accepted_is_paid_once_payments_is_back() {
    let shop = Shop::open(Mitigations::ALL);
    let token = shop.token("t1").await;
    shop.behave(json!({"error_share": 1.0})).await;
    shop.until("it is accepted", || async { shop.place(&token, "k", 500).await.status == 202 }).await;
    let placed = shop.place(&token, "k", 500).await;
    assert_eq!(placed.body["status"], "payment_pending", "{placed:?}");
    let id = placed.body["id"].as_str().unwrap();
    shop.behave(json!({"error_share": 0.0})).await;
    shop.until("it is paid", || async { shop.find(&token, id).await.body["status"] == "paid" }).await;
    shop.until("it is there", || async { shop.place(&token, "k", 500).await.status == 200 }).await;
    let charges = shop.charges().await;
    assert_eq!((&charges["charged"], &charges["charged_cents"]), (&json!(1), &json!(500)), "{charges}");
}

#[tokio::test]
async fn without_degradation_an_order_fails_with_its_payment() {
    let shop = Shop::open(Mitigations::ALL.with(Mitigation::Degradation, false));
    let token = shop.token("t1").await;
    shop.behave(json!({"error_share": 1.0})).await;
    let placed = shop.place(&token, "k", 500).await;
    assert!([502, 503, 504].contains(&placed.status), "{placed:?}");
    // The same key again places nothing new, and pays what is unpaid.
    shop.behave(json!({"error_share": 0.0})).await;
    shop.until("it comes through", || async { shop.place(&token, "k", 500).await.status == 200 }).await;
    assert_eq!(shop.charges().await["charged"], 1);
}

/// Calls that reach payments for each order, while it fails all of them.
async fn amplification(on: Mitigations) -> f64 {
    let shop = Shop::open(on);
    let token = shop.token("t1").await;
    shop.behave(json!({"error_share": 1.0, "delay_ms": 0, "jitter_ms": 0})).await;
    for number in 0..40 {
        shop.place(&token, &format!("k{number}"), 10).await;
    }
    shop.charges().await["attempts"].as_f64().unwrap() / 40.0
}

#[tokio::test]
async fn a_budget_flattens_the_retries_that_naive_code_multiplies() {
    let naive = amplification(Mitigations::NONE).await;
    assert!((naive - 16.0).abs() < 0.01, "four tries at each of two services: {naive}");
    let budgeted = amplification(Mitigations::NONE.with(Mitigation::RetryBudget, true)).await;
    assert!((1.0..4.0).contains(&budgeted), "{budgeted}");
}
