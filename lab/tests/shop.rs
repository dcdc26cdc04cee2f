//! The shop from outside: tokens, tenants, idempotency, switches.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod support;

use sabot_lab::Mitigations;
use serde_json::{Value, json};
use support::Shop;

#[tokio::test]
async fn a_tenant_sees_its_own_orders_alone() {
    let shop = Shop::open(Mitigations::NONE);
    let (t1, t2) = (shop.token("t1").await, shop.token("t2").await);
    let found = shop.find(&t1, "t1-3").await;
    assert_eq!((found.status, &found.body["amount_cents"]), (200, &json!(103)), "{found:?}");
    assert_eq!(shop.find(&t2, "t1-3").await.status, 404);
    assert_eq!(shop.find(&t1, "t1-11").await.status, 404);
    let placed = shop.place(&t1, "k", 500).await;
    assert_eq!(placed.status, 201);
    let id = placed.body["id"].as_str().unwrap();
    // By either replica: they have one store.
    for _ in 0..2 {
        assert_eq!(shop.find(&t1, id).await.body["status"], "paid");
        assert_eq!(shop.find(&t2, id).await.status, 404);
    }
    // The same key of another tenant is another order.
    assert_eq!(shop.place(&t2, "k", 500).await.status, 201);
}

#[tokio::test]
async fn a_key_orders_and_charges_once() {
    let shop = Shop::open(Mitigations::NONE);
    let token = shop.token("t1").await;
    let first = shop.place(&token, "k", 500).await;
    let again = shop.place(&token, "k", 500).await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first.body["id"], again.body["id"]);
    assert_eq!(shop.place(&token, "k", 501).await.status, 422);
    // Also when both come at once, to different replicas.
    let (one, other) = tokio::join!(shop.place(&token, "l", 70), shop.place(&token, "l", 70));
    assert_eq!(one.body["id"], other.body["id"]);
    let charges = shop.charges().await;
    assert_eq!((&charges["charged"], &charges["charged_cents"]), (&json!(2), &json!(570)), "{charges}");
    assert_eq!(charges["orders_charged_twice"], 0);
}

#[tokio::test]
async fn retries_of_a_payment_that_failed_charge_once() {
    let shop = Shop::open(Mitigations::NONE);
    let token = shop.token("t1").await;
    shop.behave(json!({"error_share": 0.5})).await;
    for number in 0..20 {
        // Three retries here, three at the gateway: it comes through in the end.
        let key = format!("k{number}");
        while shop.place(&token, &key, 10).await.status >= 500 {}
    }
    let charges = shop.charges().await;
    assert_eq!((&charges["charged"], &charges["orders_charged_twice"]), (&json!(20), &json!(0)), "{charges}");
    assert!(charges["attempts"].as_u64().unwrap() > 20, "{charges}");
}

#[tokio::test]
async fn a_token_is_good_for_its_time_alone() {
    let shop = Shop::open(Mitigations::NONE);
    let ask = |body: Value| {
        let (shop, url) = (&shop, format!("{}/tokens", shop.api.address));
        async move { shop.ask("POST", url, &[], &body).await }
    };
    let said = ask(json!({"tenant": "t1", "expires_in_s": 1})).await;
    let token = format!("Bearer {}", said.body["token"].as_str().unwrap());
    shop.until("the token expires", || async { shop.find(&token, "t1-1").await.status == 401 }).await;
    let refused = shop.find(&token, "t1-1").await;
    assert!(refused.body["error"].as_str().unwrap().contains("expired"), "{refused:?}");
    // The service behind the gateway asks its own clock.
    let url = format!("{}/orders/t1-1", shop.orders[0].address);
    assert_eq!(shop.ask("GET", url, &[("authorization", &token)], &Value::Null).await.status, 401);
    assert_eq!(shop.find("Bearer t1.1.2.abc", "t1-1").await.status, 401);
    for (body, field) in [
        (json!({"tenant": "T 1"}), "tenant"),
        (json!({"tenant": "t1", "expires_in_s": 0}), "expires_in_s"),
        (json!({"tenants": "t1"}), "body"),
    ] {
        let said = ask(body).await;
        assert_eq!((said.status, said.body["field"].as_str()), (400, Some(field)), "{said:?}");
    }
}

#[tokio::test]
async fn wrong_orders_are_refused_with_the_field() {
    let shop = Shop::open(Mitigations::NONE);
    let token = shop.token("t1").await;
    for (order, field) in [
        (json!({"item": "", "amount_cents": 1}), "item"),
        (json!({"item": "shoe", "amount_cents": 0}), "amount_cents"),
        (json!({"item": "shoe"}), "body"),
        (json!({"item": "shoe", "amount_cents": 1, "colour": 2}), "body"),
    ] {
        let url = format!("{}/orders", shop.api.address);
        let said = shop.ask("POST", url, &[("authorization", &token)], &order).await;
        assert_eq!((said.status, said.body["field"].as_str()), (400, Some(field)), "{said:?}");
    }
    assert_eq!(shop.charges().await["charged"], 0);
}

#[tokio::test]
async fn switches_act_while_the_service_runs_and_are_refused_as_a_whole() {
    let shop = Shop::open(Mitigations::NONE);
    let url = format!("{}/mitigations", shop.api.control);
    let put = |body: Value| {
        let (shop, url) = (&shop, url.clone());
        async move { shop.ask("PUT", url, &[], &body).await }
    };
    let said = put(json!({"all": true, "timeout": false})).await;
    assert_eq!(
        (said.status, &said.body["timeout"], &said.body["bulkhead"]),
        (200, &json!(false), &json!(true))
    );
    let wrong = put(json!({"timeout": true, "breaker": true})).await;
    assert_eq!((wrong.status, wrong.body["field"].as_str()), (400, Some("breaker")), "{wrong:?}");
    assert_eq!(shop.ask("GET", url, &[], &Value::Null).await.body["timeout"], false);
    assert!((shop.metric(&shop.api, "lab_mitigation_enabled", "").await - 5.0).abs() < f64::EPSILON);
}
