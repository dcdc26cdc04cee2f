//! The one form in which everything that fails is answered.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sabot_toxics::Invalid;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ApiError {
    /// What went wrong and, where that is known, what to do instead.
    #[serde(rename = "error")]
    pub(crate) message: String,
    /// The status of the answer once more.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16)]
    pub(crate) status: StatusCode,
    /// The field of the request that was refused, where it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) field: Option<String>,
    /// What is in the way, where that ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) conflict: Option<Box<Conflict>>,
}

/// What is in the way of an injection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Conflict {
    /// The injection that is; absent if it is a time in which nothing may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) id: Option<String>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) owner: Option<String>,
    /// When it ends at the latest, in RFC 3339; `null` if it has not begun.
    #[schema(format = DateTime)]
    pub(crate) ends_at: Option<String>,
}

/// Beside an answer: why the request failed, for those who write it down.
#[derive(Clone, Debug)]
pub(crate) struct Reason(pub(crate) String);

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), status, field: None, conflict: None }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error, see the server's log")
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        let message = invalid.to_string();
        let field = Some(invalid.field).filter(|field| !field.is_empty());
        Self { field, ..Self::bad_request(message) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let reason = Reason(self.message.clone());
        let mut response = (self.status, Json(self)).into_response();
        response.extensions_mut().insert(reason);
        response
    }
}

fn as_number<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
