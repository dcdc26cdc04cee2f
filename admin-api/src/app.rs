//! What every handler shares, and the router made of all rooms.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri};
use sabot_injections::book::OnRestart;
use sabot_injections::engine::{Engine, Settings};
use sabot_proxy::{ControlError, Controller};
use tokio::sync::{Semaphore, watch};
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::ApiError;
use crate::security::Gate;
use crate::{ApiOptions, changes, metrics, openapi, security, trace};

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) controller: Controller,
    /// Owner of all injections, and of the journal.
    pub(crate) engine: Engine,
    pub(crate) options: Arc<ApiOptions>,
    /// What asks for tokens; none lets everybody pass.
    pub(crate) gate: Option<Arc<Gate>>,
    /// One permit for each event stream that may be open.
    pub(crate) event_streams: Arc<Semaphore>,
    /// Becomes true when the server stops; event streams end then.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// The API without a socket: for tests, or to be served by other means.
///
/// Limits of connections and headers are [`serve`](crate::serve)'s, and so is the address of the client
/// that the journal names. Without [`ApiOptions::engine`] it makes one whose journal is in memory.
pub async fn router(controller: Controller, options: ApiOptions) -> Router {
    let (_, never) = watch::channel(false);
    with_stop(controller, options, never).await
}

pub(crate) async fn with_stop(
    controller: Controller,
    options: ApiOptions,
    stopping: watch::Receiver<bool>,
) -> Router {
    metrics::install();
    let event_streams = Arc::new(Semaphore::new(options.max_event_streams));
    let engine = match options.engine.clone() {
        Some(engine) => engine,
        None => Engine::start(controller.clone(), Settings::default(), None, OnRestart::Clear).await,
    };
    let gate = options.access.clone().map(|access| Arc::new(Gate::new(access, engine.clone())));
    let app = App { controller, engine, options: Arc::new(options), gate, event_streams, stopping };
    let (routes, _) = openapi::routes().split_for_parts();
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(app.clone(), in_time))
        .layer(from_fn_with_state(app.clone(), changes::note))
        .layer(from_fn_with_state(app.clone(), security::admit))
        .layer(from_fn_with_state(app.clone(), security::guard))
        .layer(CatchPanicLayer::custom(trace::panicked))
        .layer(from_fn(trace::trace))
        .with_state(app)
}

/// Runs a change to its end even when the client goes away or gives up: half a
/// change must not depend on a client's patience.
pub(crate) async fn finish<T: Send + 'static>(
    change: impl Future<Output = Result<T, ControlError>> + Send + 'static,
) -> Result<T, ControlError> {
    match tokio::spawn(change).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ControlError::ShuttingDown),
        },
    }
}

async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let patience = app.options.request_timeout;
    tokio::time::timeout(patience, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", patience.as_secs_f64());
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).into_response()
    })
}

async fn not_found(uri: Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("there is no {}", uri.path()))
}

async fn not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not allowed on {}", uri.path()))
}
