//! The description of the API (OpenAPI 3.1): routes and bodies from the
//! handlers, toxics from the catalog. Nothing is described twice.

mod catalog;
mod classic;
mod finish;
mod injections;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::{classic as toxiproxy, injections as platform, metrics, v1};

const ABOUT: &str = "Sabot breaks the links between services on purpose. `/v1`, `/injections` and `/chaos` are its own \
    API: strict, every refusal names the field. The other routes without a prefix are Toxiproxy's, for its clients: keys in any case, `null` \
    for absent, unknown fields ignored, Content-Type not looked at.";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Sabot", description = ABOUT, license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    servers((url = "http://localhost:8474")),
    tags(
        (name = "sabot", description = "Sabot's own routes."),
        (name = "injections", description = "Who breaks what, for how long, why, and how it ends."),
        (name = "toxiproxy", description = "The routes of Toxiproxy 2.12."),
        (name = "metrics", description = "For Prometheus."),
    ),
)]
struct Head;

/// The routes of the API, described.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Head::openapi())
        .merge(v1::router())
        .merge(platform::router())
        .merge(toxiproxy::router())
        .merge(metrics::router())
        .routes(routes!(serve))
}

/// The description as `/v1/openapi.json` serves it.
#[must_use]
pub fn document() -> Value {
    let (_, described) = routes().split_for_parts();
    let mut document = serde_json::to_value(described).unwrap_or_default();
    for (name, schema) in
        catalog::schemas().into_iter().chain(classic::schemas()).chain(injections::schemas())
    {
        document["components"]["schemas"][name] = schema;
    }
    finish::finish(&mut document);
    document
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "sabot", operation_id = "openapi",
    responses((status = 200, content_type = "application/json", body = Object)))]
async fn serve() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}
