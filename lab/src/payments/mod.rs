//! `payments`: a stub whose behaviour is settable while it runs.
//!
//! | module | what is in it |
//! |---|---|
//! | `behaviour` | how slow, how faulty and how roomy it is |
//! | `ledger` | what was charged: each key once |

mod behaviour;
mod ledger;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

pub use behaviour::Behaviour;

use crate::admission::{Admission, admit};
use crate::control::Control;
use crate::draws::Draws;
use crate::error::LabError;
use crate::metrics::{CHARGES, Meter};
use crate::mitigation::Switches;
use crate::orders::{IDEMPOTENCY_KEY, MAX_KEY};
use crate::reply::Problem;
use crate::service::{Common, Service};
use behaviour::Current;
use ledger::{Entry, Ledger};

const WORKERS: usize = 128;
const DEADLINE: Duration = Duration::from_secs(5);

struct Payments {
    meter: Meter,
    behaviour: Current,
    ledger: Ledger,
    draws: Draws,
    attempts: AtomicU64,
}

/// The service, ready to be served.
///
/// # Errors
/// When the behaviour is out of range.
pub fn payments(common: &Common, behaviour: Behaviour) -> Result<Service, LabError> {
    let behaviour = Current::new(behaviour)
        .map_err(|error| LabError::Setting { field: error.field, reason: error.reason.to_owned() })?;
    let meter = Meter::new(&common.name);
    let switches = Switches::new(common.mitigations);
    let payments = Arc::new(Payments {
        meter: meter.clone(),
        behaviour,
        ledger: Ledger::default(),
        draws: Draws::new(common.seed, "payments"),
        attempts: AtomicU64::new(0),
    });
    let entry = Admission::new(&meter, &switches, WORKERS).entry("POST /charge", 1.0, DEADLINE);
    let requests = Router::new()
        .route("/charge", post(charge).layer(from_fn_with_state(entry, admit)))
        .with_state(Arc::clone(&payments));
    let control = Router::new()
        .route("/behaviour", get(behaviour_now).put(behave))
        .route("/charges", get(charges))
        .with_state(payments)
        .merge(Control::new(&common.name, &meter, &switches).router());
    Ok(Service { requests, control, meter, work: Vec::new() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeRequest {
    order: String,
    amount_cents: u64,
}

/// Charges once for each key, however often it is asked.
async fn charge(
    State(payments): State<Arc<Payments>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let wanted: ChargeRequest =
        serde_json::from_slice(&body).map_err(|error| Problem::field("body", error.to_string()))?;
    let key = headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
    let key = key.filter(|key| (1..=MAX_KEY).contains(&key.len()));
    let key = key.ok_or_else(|| Problem::field(IDEMPOTENCY_KEY, "is missing or too long"))?;

    let number = payments.attempts.fetch_add(1, Ordering::Relaxed);
    let (behaviour, capacity) = payments.behaviour.now();
    let closed =
        |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the behaviour changed while this charge waited");
    let _room = capacity.acquire_owned().await.map_err(closed)?;
    tokio::time::sleep(behaviour.delay(payments.draws.unit(number << 1))).await;
    if payments.draws.unit(number << 1 | 1) < behaviour.error_share {
        payments.meter.count(CHARGES, &[("kind", "failed")]);
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the payment provider failed"));
    }
    let (status, kind, id) = match payments.ledger.charge(key, &wanted.order, wanted.amount_cents) {
        Entry::First(id) => (StatusCode::CREATED, "first", id),
        Entry::Repeated(id) => (StatusCode::OK, "repeated", id),
        Entry::OtherAmount => {
            let message = "this key charged another order or amount before";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message));
        }
        Entry::Full => return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, "the ledger is full")),
    };
    payments.meter.count(CHARGES, &[("kind", kind)]);
    Ok((status, Json(json!({"charge": id, "order": wanted.order, "amount_cents": wanted.amount_cents}))))
}

async fn behaviour_now(State(payments): State<Arc<Payments>>) -> Json<Behaviour> {
    Json(payments.behaviour.now().0)
}

/// What is not named stays as it is.
async fn behave(State(payments): State<Arc<Payments>>, body: Bytes) -> Result<Json<Behaviour>, Problem> {
    let change = serde_json::from_slice(&body).map_err(|error| Problem::field("body", error.to_string()))?;
    let new =
        payments.behaviour.change(&change).map_err(|error| Problem::field(error.field, error.reason))?;
    tracing::info!(behaviour = ?new, "behaviour changed");
    Ok(Json(new))
}

async fn charges(State(payments): State<Arc<Payments>>) -> Json<Value> {
    let totals = payments.ledger.totals();
    Json(json!({
        "attempts": payments.attempts.load(Ordering::Relaxed),
        "charged": totals.charged,
        "charged_cents": totals.charged_cents,
        "repeated": totals.repeated,
        "orders_charged_twice": totals.orders_charged_twice,
    }))
}
