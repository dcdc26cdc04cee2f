//! What the controller refused, with the status it has here.

use http::StatusCode;
use sabot_proxy::ControlError;

use crate::error::ApiError;

pub(super) fn refused(error: ControlError) -> ApiError {
    let status = match &error {
        ControlError::ProxyNotFound { .. }
        | ControlError::ToxicNotFound { .. }
        | ControlError::ConnectionNotFound { .. } => StatusCode::NOT_FOUND,
        ControlError::ProxyExists { .. }
        | ControlError::ToxicExists { .. }
        | ControlError::Bind { .. }
        | ControlError::Injected { .. }
        | ControlError::ProxyDisabled { .. } => StatusCode::CONFLICT,
        ControlError::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        ControlError::Invalid(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    match error {
        ControlError::Invalid(invalid) => invalid.into(),
        other => ApiError::new(status, other.to_string()),
    }
}
