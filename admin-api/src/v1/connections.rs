//! Live connections.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::refuse::refused;
use super::wire::{Connection, Connections};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::Names;

/// The live connections of all proxies.
#[utoipa::path(get, path = "/v1/connections", tag = "sabot", operation_id = "list_connections",
    responses((status = 200, body = Connections)))]
pub(super) async fn list_all(State(app): State<App>) -> Result<Json<Connections>, ApiError> {
    of(&app, None)
}

/// The live connections of a proxy.
#[utoipa::path(get, path = "/v1/proxies/{proxy}/connections", tag = "sabot",
    operation_id = "list_proxy_connections", params(("proxy" = String, Path)),
    responses((status = 200, body = Connections), (status = 404, body = ApiError)))]
pub(super) async fn list(
    State(app): State<App>,
    Names(proxy): Names<String>,
) -> Result<Json<Connections>, ApiError> {
    of(&app, Some(&proxy))
}

/// Resets both sides of a live connection.
#[utoipa::path(delete, path = "/v1/proxies/{proxy}/connections/{id}", tag = "sabot",
    operation_id = "close_connection", params(("proxy" = String, Path), ("id" = u64, Path)),
    responses((status = 204), (status = 404, body = ApiError)))]
pub(super) async fn close(
    State(app): State<App>,
    Names((proxy, id)): Names<(String, u64)>,
) -> Result<StatusCode, ApiError> {
    app.controller.close_connection(&proxy, id).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn of(app: &App, proxy: Option<&str>) -> Result<Json<Connections>, ApiError> {
    let connections = app.controller.connections(proxy).map_err(refused)?;
    Ok(Json(Connections { connections: connections.into_iter().map(Connection::from).collect() }))
}
