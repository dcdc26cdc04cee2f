//! The catalog of toxics.

use axum::Json;
use http::StatusCode;

use super::wire::{KindView, Kinds};
use crate::error::ApiError;
use crate::extract::Names;

/// Every kind of toxic that this server knows.
#[utoipa::path(get, path = "/v1/kinds", tag = "sabot", operation_id = "kinds",
    responses((status = 200, body = Kinds)))]
pub(super) async fn list() -> Json<Kinds> {
    Json(Kinds { kinds: sabot_toxics::kinds().iter().map(KindView::from).collect() })
}

/// One kind of toxic, with the schema of its attributes.
#[utoipa::path(get, path = "/v1/kinds/{kind}", tag = "sabot", operation_id = "kind",
    params(("kind" = String, Path)),
    responses((status = 200, body = KindView), (status = 404, body = ApiError)))]
pub(super) async fn show(Names(kind): Names<String>) -> Result<Json<KindView>, ApiError> {
    match sabot_toxics::find_kind(&kind) {
        Ok(kind) => Ok(Json(kind.into())),
        Err(unknown) => Err(ApiError::new(StatusCode::NOT_FOUND, unknown.message)),
    }
}
