//! What happens on a proxy, as it happens (server-sent events).

use axum::extract::State;
use axum::response::Response;
use sabot_proxy::Event;
use serde_json::Value;

use super::refuse::refused;
use super::wire::{EventData, RequestData};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::Names;
use crate::security::Who;
use crate::stream;

/// Everything that happens on a proxy from now on. `event:` is the type,
/// `data:` one JSON object. A reader that is too slow misses events and is told
/// how many (`lagged`); the stream ends with the proxy.
#[utoipa::path(get, path = "/v1/proxies/{proxy}/events", tag = "sabot", operation_id = "events",
    params(("proxy" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = EventData),
        (status = 404, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn all(
    State(app): State<App>,
    who: Who,
    Names(proxy): Names<String>,
) -> Result<Response, ApiError> {
    let events = app.controller.events(&proxy).map_err(refused)?;
    stream::answer(&app, who, events, named)
}

/// The access log of an HTTP proxy from now on: an event `request` for each request, when
/// the last byte of its answer has gone. Nothing is gathered while nobody reads.
#[utoipa::path(get, path = "/v1/proxies/{proxy}/requests", tag = "sabot", operation_id = "requests",
    params(("proxy" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = RequestData),
        (status = 400, body = ApiError), (status = 404, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn requests(
    State(app): State<App>,
    who: Who,
    Names(proxy): Names<String>,
) -> Result<Response, ApiError> {
    let requests = app.controller.requests(&proxy).map_err(refused)?;
    stream::answer(&app, who, requests, named)
}

fn named(event: &Event) -> (String, Value) {
    let event = serde_json::to_value(event).unwrap_or_default();
    (event["type"].as_str().unwrap_or("message").to_owned(), event)
}
