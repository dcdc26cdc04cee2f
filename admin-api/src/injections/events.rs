//! State changes as they happen.

use axum::extract::State;
use axum::response::Response;
use sabot_injections::engine::Change;
use serde_json::Value;

use super::wire::{ChangeData, Injection};
use crate::app::App;
use crate::error::ApiError;
use crate::security::Who;
use crate::stream;

/// Every change of an injection or a schedule from now on. `event:` is what happened, such as `injection.started`,
/// `data:` one JSON object: that event, and the injection as it is now. A reader that is too slow misses some and is
/// told how many (`lagged`).
#[utoipa::path(get, path = "/injections/events", tag = "injections", operation_id = "injection_events",
    responses((status = 200, content_type = "text/event-stream", body = ChangeData), (status = 503, body = ApiError)))]
pub(super) async fn all(State(app): State<App>, who: Who) -> Result<Response, ApiError> {
    stream::answer(&app, who, app.engine.changes(), named)
}

fn named(change: &Change) -> (String, Value) {
    let mut data = serde_json::to_value(&change.event).unwrap_or_default();
    let action = data["action"].as_str().unwrap_or("message").to_owned();
    data["injection"] =
        serde_json::to_value(change.injection.clone().map(Injection::from)).unwrap_or_default();
    (action, data)
}
