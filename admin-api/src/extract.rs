//! What handlers take from a request; refusals in the API's own form.

use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::ApiError;

/// All of a request's body, whatever its Content-Type says; bounded in size and
/// time.
pub(crate) struct Body(pub(crate) Bytes);

impl FromRequest<App> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let seen = request.extensions().get::<Seen>().cloned();
        let (limit, patience) = (app.options.max_body, app.options.body_timeout);
        let reading = Limited::new(request.into_body(), limit).collect();
        match tokio::time::timeout(patience, reading).await {
            Ok(Ok(body)) => {
                let body = body.to_bytes();
                if let Some(seen) = seen {
                    // It is read once.
                    let _ = seen.0.set(body.clone());
                }
                Ok(Self(body))
            }
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than {limit} bytes"),
            )),
            Ok(Err(error)) => Err(ApiError::bad_request(format!("bad request body: {error}"))),
            Err(_) => Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body did not arrive within {} s", patience.as_secs_f64()),
            )),
        }
    }
}

/// Beside a request: the body that its handler read, for those who write it down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(pub(crate) Arc<OnceLock<Bytes>>);

/// The names in a path. They may hold anything, percent-encoded.
pub(crate) struct Names<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(error) => Err(ApiError::bad_request(error.body_text())),
        }
    }
}
