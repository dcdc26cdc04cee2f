//! Sabot's own routes: strict in what they read, so that a typing error is an
//! answer and not a fault that never happens.

mod ca;
mod connections;
mod events;
mod kinds;
mod proxies;
mod refuse;
pub(crate) mod strict;
mod tokens;
mod toxics;
pub(crate) mod wire;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, finish};
use crate::classic::TOXIPROXY_VERSION;
use crate::error::ApiError;
use refuse::refused;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(version))
        .routes(routes!(reset))
        .routes(routes!(ca::certificate))
        .routes(routes!(ca::crl))
        .routes(routes!(ca::crl_pem))
        .routes(routes!(kinds::list))
        .routes(routes!(kinds::show))
        .routes(routes!(proxies::list, proxies::create))
        .routes(routes!(proxies::show, proxies::update, proxies::delete))
        .routes(routes!(toxics::list, toxics::add))
        .routes(routes!(toxics::show, toxics::update, toxics::remove))
        .routes(routes!(connections::list_all))
        .routes(routes!(connections::list))
        .routes(routes!(connections::close))
        .routes(routes!(events::all))
        .routes(routes!(events::requests))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
}

/// Who answers, and the seed of this run.
#[utoipa::path(get, path = "/v1/version", tag = "sabot", operation_id = "version",
    responses((status = 200, body = wire::Version)))]
async fn version(State(app): State<App>) -> Json<wire::Version> {
    Json(wire::Version {
        version: env!("CARGO_PKG_VERSION"),
        toxiproxy_version: TOXIPROXY_VERSION,
        seed: app.controller.seed(),
    })
}

/// Enables every proxy and removes every toxic.
#[utoipa::path(post, path = "/v1/reset", tag = "sabot", operation_id = "reset", responses((status = 204)))]
async fn reset(State(app): State<App>) -> Result<StatusCode, ApiError> {
    finish(async move { app.controller.reset().await }).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}
