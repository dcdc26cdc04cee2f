//! `orders`: places orders and finds them. It charges by `payments`.
//!
//! | module | what is in it |
//! |---|---|
//! | `place` | an order's way from the request to its payment |
//! | `settle` | makes the payments that are pending |

mod place;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use crate::admission::{Admission, admit};
use crate::control::Control;
use crate::dependency::Dependency;
use crate::error::LabError;
use crate::guard::{CallError, Limits};
use crate::http_pool::{Call, HttpPool};
use crate::metrics::Meter;
use crate::mitigation::{Mitigations, Switches};
use crate::reply::Problem;
use crate::service::{Common, Service};
use crate::store::{Order, Store, StoreError, StoreOptions};
use crate::token::{Tokens, wall_clock_ms};
use settle::Pending;

/// The header that makes a request safe to repeat.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Longer than any client's key; keys are kept.
pub(crate) const MAX_KEY: usize = 128;

const WORKERS: usize = 32;
/// What the payment provider grants each replica: small, as such contracts are. At
/// 7 ms a charge it is enough for 400 a second, at 207 ms for 15.
const PAYMENT_CONNECTIONS: usize = 3;
const PAYMENTS: Limits = Limits { timeout: Duration::from_millis(150), share: 6 };
const READ_DEADLINE: Duration = Duration::from_secs(1);
/// Room for two statements on a new connection to a primary that is slow, and a charge.
const WRITE_DEADLINE: Duration = Duration::from_millis(1_900);

/// What `orders` is told beside the common settings.
#[derive(Clone)]
pub struct OrdersOptions {
    /// Where `payments` answers: `http://HOST:PORT`.
    pub payments: String,
    /// Where orders are kept; replicas in one process may share it.
    pub store: StoreOptions,
}

pub(crate) struct Orders {
    meter: Meter,
    switches: Switches,
    tokens: Tokens,
    store: Store,
    payments: Dependency,
    pending: Pending,
}

/// The service, ready to be served.
///
/// # Errors
/// When an address is none.
pub fn orders(common: &Common, options: &OrdersOptions) -> Result<Service, LabError> {
    let meter = Meter::new(&common.name);
    let switches = Switches::new(common.mitigations);
    let pool = HttpPool::new(&meter, "payments", &options.payments, PAYMENT_CONNECTIONS)?;
    let pools = [("payments".to_owned(), pool)];
    let orders = Arc::new(Orders {
        meter: meter.clone(),
        switches: switches.clone(),
        tokens: Tokens::new(&common.secret),
        store: Store::new(&meter, &options.store, common.seed)?,
        payments: Dependency::new(&meter, ("payments", "charge"), &pools, PAYMENTS, common.seed),
        pending: Pending::new(&meter),
    });
    let (published, asked) = (Arc::clone(&orders), Arc::clone(&orders));
    let control = Control {
        publish: Arc::new(move |on| {
            published.payments.publish(on);
            published.store.publish(on);
        }),
        ready: Arc::new(move || {
            let store = asked.store.clone();
            Box::pin(async move { store.ready().await })
        }),
        ..Control::new(&common.name, &meter, &switches)
    };
    let admission = Admission::new(&meter, &switches, WORKERS);
    let by = |route, share, deadline| from_fn_with_state(admission.entry(route, share, deadline), admit);
    let requests = Router::new()
        .route("/orders/{id}", get(find).layer(by("GET /orders/{id}", 0.75, READ_DEADLINE)))
        .route("/orders", post(place::place).layer(by("POST /orders", 0.5, WRITE_DEADLINE)))
        .with_state(Arc::clone(&orders));
    Ok(Service { requests, control: control.router(), meter, work: vec![Box::pin(settle::settle(orders))] })
}

async fn find(
    State(orders): State<Arc<Orders>>,
    Extension(on): Extension<Mitigations>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Order>, Problem> {
    let tenant = orders.tenant(&headers)?;
    let order = orders.store.find(on, &id).await?;
    // Another tenant's order is not there: not even its existence is told.
    let order = order.filter(|order| order.tenant == tenant);
    order.map(Json).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no order {id}")))
}

impl Orders {
    /// Whose token it is, if it is good by this service's clock.
    fn tenant(&self, headers: &HeaderMap) -> Result<String, Problem> {
        let given = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
        Ok(self.tokens.verify(given, wall_clock_ms())?)
    }

    /// Makes the payment of an order and says so in the store. The order's id is the
    /// key, so that nothing is charged twice, however often this is called.
    async fn pay(&self, on: Mitigations, order: &Order) -> Result<(), Unpaid> {
        let body = json!({"order": order.id, "amount_cents": order.amount_cents}).to_string();
        let key = HeaderValue::from_str(&order.id).map_err(|_| Unpaid::Refused(StatusCode::BAD_REQUEST))?;
        let call = Call {
            method: Method::POST,
            path: "/charge".to_owned(),
            headers: vec![
                (HeaderName::from_static(IDEMPOTENCY_KEY), key),
                (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            ],
            body: Bytes::from(body),
        };
        let reply = self.payments.send(on, &call).await?;
        if !reply.status.is_success() {
            return Err(Unpaid::Refused(reply.status));
        }
        Ok(self.store.paid(on, &order.id).await?)
    }
}

/// Why an order is not paid.
#[derive(Debug, thiserror::Error)]
enum Unpaid {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("payments answered {0}")]
    Refused(StatusCode),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Unpaid> for Problem {
    fn from(unpaid: Unpaid) -> Self {
        match unpaid {
            Unpaid::Call(error) => error.into(),
            Unpaid::Refused(_) => Self::new(StatusCode::BAD_GATEWAY, unpaid.to_string()),
            Unpaid::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
            StoreError::Call(error) => error.into(),
        }
    }
}
