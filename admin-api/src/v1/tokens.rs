//! Who may do what: tokens are created, listed and revoked here, by an admin.

use axum::Json;
use axum::extract::State;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderName, StatusCode};
use sabot_injections::access::{Access, AccessError};

use super::strict;
use super::wire::{CreatedToken, NewToken, Tokens};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, Names};
use crate::security::{Who, failed};

/// All tokens, the oldest first; not what they are, which nobody knows but their owners.
#[utoipa::path(get, path = "/v1/tokens", tag = "sabot", operation_id = "list_tokens",
    responses((status = 200, body = Tokens), (status = 409, body = ApiError)))]
pub(super) async fn list(State(app): State<App>) -> Result<Json<Tokens>, ApiError> {
    let tokens = with(&app, |access| {
        let tokens = access.tokens()?.into_iter();
        Ok(tokens.map(|token| (access.expired(&token), token).into()).collect())
    });
    Ok(Json(Tokens { tokens: tokens.await? }))
}

/// Creates a token. The answer is the only one that ever holds it.
#[utoipa::path(post, path = "/v1/tokens", tag = "sabot", operation_id = "create_token",
    request_body = NewToken,
    responses((status = 201, body = CreatedToken), (status = 400, body = ApiError),
        (status = 409, body = ApiError)))]
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Body(body): Body,
) -> Result<(StatusCode, [(HeaderName, String); 2], Json<CreatedToken>), ApiError> {
    let new = strict::read::<NewToken>(&body)?.read()?;
    let (token, secret) = with(&app, move |access| access.create(&who.actor, new)).await?;
    let location = format!("/v1/tokens/{}", token.id);
    let headers = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(CreatedToken::new(token, &secret))))
}

/// Revokes a token: it is worth nothing from now on.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "sabot", operation_id = "revoke_token",
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn revoke(
    State(app): State<App>,
    who: Who,
    Names(id): Names<String>,
) -> Result<StatusCode, ApiError> {
    with(&app, move |access| access.revoke(&who.actor, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Does what may wait for another process that writes, to its end even if the client goes away.
async fn with<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Access) -> Result<T, AccessError> + Send + 'static,
) -> Result<T, ApiError> {
    let Some(gate) = app.gate.clone() else {
        let message = "there are no tokens, since everybody may everything: start the server with --auth";
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    };
    match tokio::task::spawn_blocking(move || work(gate.access())).await {
        Ok(outcome) => outcome.map_err(|error| failed(&error)),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")),
        },
    }
}
