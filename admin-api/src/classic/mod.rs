//! The routes of Toxiproxy 2.12, as its clients know them.
//!
//! Lenient in what they read, exact in what they answer. They see the toxics
//! that people and clients set and nothing else of Sabot.

mod attributes;
mod lenient;
mod proxies;
mod refuse;
mod toxics;
mod wire;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The Toxiproxy version whose behaviour these routes have; clients read it and
/// use PATCH from 2.6.0 on.
pub const TOXIPROXY_VERSION: &str = "2.12.0";

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(proxies::list, proxies::create))
        .routes(routes!(proxies::populate))
        .routes(routes!(proxies::reset))
        .routes(routes!(proxies::show, proxies::update, proxies::delete))
        .routes(routes!(toxics::list, toxics::add))
        .routes(routes!(toxics::show, toxics::update, toxics::remove))
        .routes(routes!(version))
}

/// The version that clients adapt to; also the readiness probe.
#[utoipa::path(get, path = "/version", tag = "toxiproxy", operation_id = "classic_version",
    responses((status = 200, body = wire::Version)))]
async fn version() -> Response {
    let sabot = env!("CARGO_PKG_VERSION");
    let body = format!("{{\"version\": \"{TOXIPROXY_VERSION}\", \"sabot\": \"{sabot}\"}}\n");
    ([(CONTENT_TYPE, "application/json;charset=utf-8")], body).into_response()
}
