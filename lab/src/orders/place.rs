//! An order's way from the request to its payment.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{IDEMPOTENCY_KEY, MAX_KEY, Orders};
use crate::metrics::DEGRADED;
use crate::mitigation::{Mitigation, Mitigations};
use crate::reply::Problem;
use crate::store::{NewOrder, Order, Placed, Status};

const MAX_ITEM: usize = 64;
const MAX_AMOUNT_CENTS: u64 = 100_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderRequest {
    item: String,
    amount_cents: u64,
}

/// 201 with a new order that is paid; 200 with the order that the key placed before;
/// 202 with an order whose payment is pending, where the service degrades gracefully.
pub(super) async fn place(
    State(orders): State<Arc<Orders>>,
    Extension(on): Extension<Mitigations>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Order>), Problem> {
    let tenant = orders.tenant(&headers)?;
    let new = read(tenant, &headers, &body)?;
    let (mut order, success) = match orders.store.place(on, &new).await? {
        Placed::New(order) => (order, StatusCode::CREATED),
        Placed::Again(order) => (order, StatusCode::OK),
        Placed::KeyReused => {
            let message = "this idempotency key placed another order before";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message));
        }
    };
    if order.status == Status::Paid {
        return Ok((success, Json(order)));
    }
    match orders.pay(on, &order).await {
        Ok(()) => {
            order.status = Status::Paid;
            Ok((success, Json(order)))
        }
        Err(error) => {
            if !on.has(Mitigation::Degradation) || !orders.pending.push(&order) {
                return Err(error.into());
            }
            orders.meter.count(DEGRADED, &[("how", "payment_pending")]);
            Ok((StatusCode::ACCEPTED, Json(order)))
        }
    }
}

fn read(tenant: String, headers: &HeaderMap, body: &[u8]) -> Result<NewOrder, Problem> {
    let wanted: OrderRequest =
        serde_json::from_slice(body).map_err(|error| Problem::field("body", error.to_string()))?;
    let fits = |item: &str| (1..=MAX_ITEM).contains(&item.len()) && !item.contains('\0');
    if !fits(&wanted.item) {
        return Err(Problem::field("item", format!("must be 1 to {MAX_ITEM} bytes")));
    }
    if !(1..=MAX_AMOUNT_CENTS).contains(&wanted.amount_cents) {
        return Err(Problem::field("amount_cents", format!("must be 1 to {MAX_AMOUNT_CENTS}")));
    }
    let key = headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
    let key = key.filter(|key| (1..=MAX_KEY).contains(&key.len()));
    let missing = || Problem::field(IDEMPOTENCY_KEY, format!("must be 1 to {MAX_KEY} visible characters"));
    let key = key.ok_or_else(missing)?.to_owned();
    Ok(NewOrder { tenant, item: wanted.item, amount_cents: wanted.amount_cents, key })
}
