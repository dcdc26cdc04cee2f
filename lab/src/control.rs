//! The control side of every service: health, metrics, mitigations.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use crate::metrics::{MITIGATION, Meter};
use crate::mitigation::{Mitigation, Mitigations, Switches};
use crate::reply::Problem;

type Ready = std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What the control side of a service knows of it.
#[derive(Clone)]
pub(crate) struct Control {
    pub name: String,
    pub meter: Meter,
    pub switches: Switches,
    /// Brings gauges up to date before they are read.
    pub publish: Arc<dyn Fn(Mitigations) + Send + Sync>,
    /// Whether the service can do its work.
    pub ready: Arc<dyn Fn() -> Ready + Send + Sync>,
}

impl Control {
    /// Of a service that needs nothing to be ready.
    pub(crate) fn new(name: &str, meter: &Meter, switches: &Switches) -> Self {
        Self {
            name: name.to_owned(),
            meter: meter.clone(),
            switches: switches.clone(),
            publish: Arc::new(|_| {}),
            ready: Arc::new(|| Box::pin(async { Ok(()) })),
        }
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .route("/mitigations", get(mitigations).put(change))
            .with_state(self)
    }
}

async fn health(State(control): State<Control>) -> Json<Value> {
    Json(json!({"service": control.name, "status": "up"}))
}

async fn ready(State(control): State<Control>) -> Result<Json<Value>, Problem> {
    let unready = |reason| Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason);
    (control.ready)().await.map_err(unready)?;
    Ok(Json(json!({"service": control.name, "status": "ready"})))
}

async fn metrics(State(control): State<Control>) -> Response {
    let on = control.switches.now();
    for it in Mitigation::ALL {
        let gauge = control.meter.gauge(MITIGATION, &[("mitigation", it.name())]);
        gauge.set(f64::from(u8::from(on.has(*it))));
    }
    (control.publish)(on);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], control.meter.render())
        .into_response()
}

async fn mitigations(State(control): State<Control>) -> Json<Value> {
    Json(control.switches.now().to_json())
}

async fn change(State(control): State<Control>, body: Bytes) -> Result<Json<Value>, Problem> {
    let change: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|error| Problem::field("body", format!("must be an object: {error}")))?;
    let on = control.switches.change(&change).map_err(|error| Problem::field(error.field, error.what))?;
    tracing::info!(service = control.name, mitigations = %on.to_json(), "mitigations changed");
    Ok(Json(on.to_json()))
}
