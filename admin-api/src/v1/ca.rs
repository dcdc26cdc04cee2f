//! Sabot's own CA: its certificate and what it has revoked. Never its key.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use sabot_proxy::CaError;

use crate::app::App;
use crate::error::ApiError;

const PEM: &str = "application/x-pem-file";

/// The certificate of Sabot's CA in PEM: what clients have to trust. It is made if there is
/// none yet.
#[utoipa::path(get, path = "/v1/ca", tag = "sabot", operation_id = "ca",
    responses((status = 200, content_type = PEM, body = String), (status = 500, body = ApiError)))]
pub(super) async fn certificate(State(app): State<App>) -> Result<Response, ApiError> {
    let authority = app.controller.authority().map_err(|error| failed(&error))?;
    Ok(([(CONTENT_TYPE, PEM)], authority.pem().to_owned()).into_response())
}

/// What Sabot's CA has revoked since the start, in DER: certificates of `tls_certificate` with
/// the problem `revoked` name this address.
#[utoipa::path(get, path = "/v1/ca/crl", tag = "sabot", operation_id = "crl",
    responses((status = 200, content_type = "application/pkix-crl", body = [u8]), (status = 500, body = ApiError)))]
pub(super) async fn crl(State(app): State<App>) -> Result<Response, ApiError> {
    let (_, der) = list(&app)?;
    Ok(([(CONTENT_TYPE, "application/pkix-crl")], der).into_response())
}

/// The same in PEM, for tools that take nothing else.
#[utoipa::path(get, path = "/v1/ca/crl.pem", tag = "sabot", operation_id = "crl_pem",
    responses((status = 200, content_type = PEM, body = String), (status = 500, body = ApiError)))]
pub(super) async fn crl_pem(State(app): State<App>) -> Result<Response, ApiError> {
    let (pem, _) = list(&app)?;
    Ok(([(CONTENT_TYPE, PEM)], pem).into_response())
}

fn list(app: &App) -> Result<(String, Vec<u8>), ApiError> {
    app.controller.authority().and_then(|authority| authority.crl()).map_err(|error| failed(&error))
}

fn failed(error: &CaError) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}; --ca-dir names another directory"))
}
