//! Toxiproxy's words for what goes wrong: clients compare them.

use http::StatusCode;
use sabot_proxy::ControlError;

use super::lenient;
use crate::error::ApiError;

/// What the controller refused, in Toxiproxy's words.
pub(super) fn refused(error: ControlError) -> ApiError {
    match error {
        ControlError::ProxyNotFound { .. } => ApiError::new(StatusCode::NOT_FOUND, "proxy not found"),
        // What injections own does not exist here.
        ControlError::ToxicNotFound { .. } | ControlError::Injected { .. } => {
            ApiError::new(StatusCode::NOT_FOUND, "toxic not found")
        }
        ControlError::ProxyExists { .. } => ApiError::new(StatusCode::CONFLICT, "proxy already exists"),
        ControlError::ToxicExists { .. } => ApiError::new(StatusCode::CONFLICT, "toxic already exists"),
        ControlError::Invalid(invalid) => {
            let error = lenient::bad(&invalid);
            ApiError { field: Some(invalid.field).filter(|field| !field.is_empty()), ..error }
        }
        ControlError::ShuttingDown => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, ControlError::ShuttingDown.to_string())
        }
        other => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
    }
}

/// A field without which nothing can be made; `place` says of which one of many.
pub(super) fn missing(field: &str, place: &str) -> ApiError {
    ApiError::bad_request(format!("missing required field: {field}{place}"))
}

pub(super) fn invalid_stream() -> ApiError {
    ApiError::bad_request("stream was invalid, can be either upstream or downstream")
}

pub(super) fn invalid_type() -> ApiError {
    ApiError::bad_request("invalid toxic type")
}
