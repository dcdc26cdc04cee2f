//! `api`: the gateway. It gives out tokens, checks them, and calls `orders`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admission::{Admission, admit};
use crate::control::Control;
use crate::dependency::Dependency;
use crate::error::LabError;
use crate::guard::Limits;
use crate::http_pool::{Call, HttpPool};
use crate::metrics::Meter;
use crate::mitigation::{Mitigations, Switches};
use crate::orders::{IDEMPOTENCY_KEY, MAX_KEY};
use crate::reply::{Problem, passed_on};
use crate::service::{Common, Service};
use crate::token::{Tokens, is_tenant, wall_clock_ms};

/// Requests at once, as a gateway with a pool of threads has them.
const WORKERS: usize = 64;
/// Connections to each replica of `orders`, for reads and writes together.
const CONNECTIONS: usize = 32;
/// Shares leave room for what waits for a connection: each call's timeout bounds that.
const READ: Limits = Limits { timeout: Duration::from_millis(300), share: 64 };
const WRITE: Limits = Limits { timeout: Duration::from_secs(2), share: 24 };
const READ_DEADLINE: Duration = Duration::from_millis(1_500);
const WRITE_DEADLINE: Duration = Duration::from_secs(3);
const TOKEN_DEADLINE: Duration = Duration::from_secs(1);
const MAX_TOKEN_LASTS_S: u64 = 86_400;

/// What `api` is told beside the common settings.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// Where the replicas of `orders` answer: `http://HOST:PORT` each.
    pub orders: Vec<String>,
    /// How long a token is good unless its request says otherwise.
    pub token_lasts: Duration,
}

struct Api {
    name: String,
    tokens: Tokens,
    token_lasts: Duration,
    reads: Dependency,
    writes: Dependency,
    keys: AtomicU64,
}

/// The service, ready to be served.
///
/// # Errors
/// When an address is none, or there is no replica.
pub fn api(common: &Common, options: &ApiOptions) -> Result<Service, LabError> {
    if options.orders.is_empty() {
        return Err(LabError::Setting {
            field: "orders",
            reason: "name the address of at least one replica".into(),
        });
    }
    let meter = Meter::new(&common.name);
    let switches = Switches::new(common.mitigations);
    let pool = |(number, base): (usize, &String)| {
        let name = format!("orders-{}", number + 1);
        HttpPool::new(&meter, &name, base, CONNECTIONS).map(|pool| (name, pool))
    };
    let pools = options.orders.iter().enumerate().map(pool).collect::<Result<Vec<_>, _>>()?;
    let dependency = |class, limits| Dependency::new(&meter, ("orders", class), &pools, limits, common.seed);
    let api = Arc::new(Api {
        name: common.name.clone(),
        tokens: Tokens::new(&common.secret),
        token_lasts: options.token_lasts,
        reads: dependency("read", READ),
        writes: dependency("write", WRITE),
        keys: AtomicU64::new(0),
    });
    let control = Control {
        publish: {
            let api = Arc::clone(&api);
            Arc::new(move |on| {
                api.reads.publish(on);
                api.writes.publish(on);
            })
        },
        ..Control::new(&common.name, &meter, &switches)
    };
    let admission = Admission::new(&meter, &switches, WORKERS);
    Ok(Service { requests: routes(&admission, api), control: control.router(), meter, work: Vec::new() })
}

fn routes(admission: &Admission, api: Arc<Api>) -> Router {
    let by = |route, share, deadline| from_fn_with_state(admission.entry(route, share, deadline), admit);
    Router::new()
        .route("/orders/{id}", get(order).layer(by("GET /orders/{id}", 0.75, READ_DEADLINE)))
        .route("/orders", post(place).layer(by("POST /orders", 0.5, WRITE_DEADLINE)))
        .route("/tokens", post(token).layer(by("POST /tokens", 0.25, TOKEN_DEADLINE)))
        .with_state(api)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    tenant: String,
    expires_in_s: Option<u64>,
}

async fn token(State(api): State<Arc<Api>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let wanted: TokenRequest =
        serde_json::from_slice(&body).map_err(|error| Problem::field("body", error.to_string()))?;
    if !is_tenant(&wanted.tenant) {
        return Err(Problem::field("tenant", "must be 1 to 16 characters of a-z and 0-9"));
    }
    let lasts_s = wanted.expires_in_s.unwrap_or(api.token_lasts.as_secs());
    if !(1..=MAX_TOKEN_LASTS_S).contains(&lasts_s) {
        return Err(Problem::field("expires_in_s", format!("must be 1 to {MAX_TOKEN_LASTS_S}")));
    }
    let (token, expires_ms) = api.tokens.issue(&wanted.tenant, wall_clock_ms(), Duration::from_secs(lasts_s));
    Ok(Json(
        json!({"token": token, "tenant": wanted.tenant, "expires_in_s": lasts_s, "expires_at_ms": expires_ms}),
    ))
}

async fn order(
    State(api): State<Arc<Api>>,
    Extension(on): Extension<Mitigations>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let authorization = api.authorization(&headers)?;
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no order {id}")));
    }
    let call = Call {
        method: Method::GET,
        path: format!("/orders/{id}"),
        headers: vec![(header::AUTHORIZATION, authorization)],
        body: Bytes::new(),
    };
    Ok(passed_on(api.reads.send(on, &call).await?))
}

async fn place(
    State(api): State<Arc<Api>>,
    Extension(on): Extension<Mitigations>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let authorization = api.authorization(&headers)?;
    let key = match headers.get(IDEMPOTENCY_KEY) {
        Some(key) if key.len() > MAX_KEY => {
            return Err(Problem::field("idempotency-key", format!("is longer than {MAX_KEY} bytes")));
        }
        Some(key) => key.clone(),
        None => api.key(),
    };
    let json = HeaderValue::from_static("application/json");
    let call = Call {
        method: Method::POST,
        path: "/orders".to_owned(),
        headers: vec![
            (header::AUTHORIZATION, authorization),
            (HeaderName::from_static(IDEMPOTENCY_KEY), key),
            (header::CONTENT_TYPE, json),
        ],
        body,
    };
    Ok(passed_on(api.writes.send(on, &call).await?))
}

impl Api {
    /// The header of a token that is good by this service's clock.
    fn authorization(&self, headers: &HeaderMap) -> Result<HeaderValue, Problem> {
        let given = headers.get(header::AUTHORIZATION);
        self.tokens.verify(given.and_then(|it| it.to_str().ok()), wall_clock_ms())?;
        given.cloned().ok_or_else(|| Problem::from(crate::token::Refused::Missing))
    }

    /// For a client that gave no key: the gateway's own retries must not order twice.
    fn key(&self) -> HeaderValue {
        let number = self.keys.fetch_add(1, Ordering::Relaxed);
        let key = format!("{}-{}-{:x}-{number:x}", self.name, std::process::id(), wall_clock_ms());
        HeaderValue::from_str(&key).unwrap_or_else(|_| number.into())
    }
}
