//! Answers in JSON, errors included.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::guard::CallError;
use crate::http_pool::Reply;
use crate::token::Refused;

/// A request that is answered by an error.
#[derive(Debug)]
pub(crate) struct Problem {
    pub status: StatusCode,
    pub message: String,
    pub field: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), field: None }
    }

    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into(), field: Some(field.into()) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({"error": self.message});
        if let Some(field) = self.field {
            body["field"] = Value::String(field);
        }
        let mut answer = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, refused.to_string())
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let status = match error {
            CallError::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            CallError::Open(_) | CallError::Overloaded(_) => StatusCode::SERVICE_UNAVAILABLE,
            CallError::Failed(..) => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.to_string())
    }
}

/// What a dependency answered, passed on as it is.
pub(crate) fn passed_on(reply: Reply) -> Response {
    (reply.status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], reply.body)
        .into_response()
}
