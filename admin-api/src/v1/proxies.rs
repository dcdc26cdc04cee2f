//! Proxies on Sabot's own routes.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sabot_proxy::{ProxyPatch, ProxySpec, check_upstream};

use super::refuse::refused;
use super::strict;
use super::wire::{NewProxy, PatchProxy, Proxies, Proxy};
use crate::app::{App, finish};
use crate::error::ApiError;
use crate::extract::{Body, Names};
use crate::security::{Who, allows};

/// All proxies, sorted by name.
#[utoipa::path(get, path = "/v1/proxies", tag = "sabot", operation_id = "list_proxies",
    responses((status = 200, body = Proxies)))]
pub(super) async fn list(State(app): State<App>) -> Json<Proxies> {
    Json(Proxies { proxies: app.controller.list().into_iter().map(Proxy::from).collect() })
}

/// Creates a proxy, with toxics if they are given: all of it or nothing.
#[utoipa::path(post, path = "/v1/proxies", tag = "sabot", operation_id = "create_proxy",
    request_body = NewProxy,
    responses((status = 201, body = Proxy), (status = 400, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Body(body): Body,
) -> Result<(StatusCode, Json<Proxy>), ApiError> {
    let new: ProxySpec = strict::read::<NewProxy>(&body)?.into();
    allows(&who.scope, &new.name, &new.labels).map_err(ApiError::forbidden)?;
    check_upstream(&new.upstream)?;
    let created = finish(async move { app.controller.create(new).await }).await;
    Ok((StatusCode::CREATED, Json(created.map_err(refused)?.into())))
}

/// One proxy.
#[utoipa::path(get, path = "/v1/proxies/{proxy}", tag = "sabot", operation_id = "proxy",
    params(("proxy" = String, Path)),
    responses((status = 200, body = Proxy), (status = 404, body = ApiError)))]
pub(super) async fn show(
    State(app): State<App>,
    Names(name): Names<String>,
) -> Result<Json<Proxy>, ApiError> {
    Ok(Json(app.controller.proxy(&name).map_err(refused)?.into()))
}

/// Changes the fields that are given; a refused patch changes nothing.
#[utoipa::path(patch, path = "/v1/proxies/{proxy}", tag = "sabot", operation_id = "update_proxy",
    params(("proxy" = String, Path)), request_body = PatchProxy,
    responses((status = 200, body = Proxy), (status = 400, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn update(
    State(app): State<App>,
    who: Who,
    Names(name): Names<String>,
    Body(body): Body,
) -> Result<Json<Proxy>, ApiError> {
    let patch: ProxyPatch = strict::read::<PatchProxy>(&body)?.into();
    // A proxy may not be taken into the scope of others either.
    let labels = patch.labels.as_ref();
    labels.map_or(Ok(()), |it| allows(&who.scope, &name, it)).map_err(ApiError::forbidden)?;
    // Toxiproxy's routes take what its clients send; here a mistake is told at once.
    patch.upstream.as_deref().map_or(Ok(()), check_upstream)?;
    let updated = finish(async move { app.controller.update(&name, patch).await }).await;
    Ok(Json(updated.map_err(refused)?.into()))
}

/// Removes a proxy and closes its connections.
#[utoipa::path(delete, path = "/v1/proxies/{proxy}", tag = "sabot", operation_id = "delete_proxy",
    params(("proxy" = String, Path)),
    responses((status = 204), (status = 404, body = ApiError)))]
pub(super) async fn delete(
    State(app): State<App>,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    finish(async move { app.controller.delete(&name).await }).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}
