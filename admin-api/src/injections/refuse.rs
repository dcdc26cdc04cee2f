//! What the engine refused, with the status it has here.

use http::StatusCode;
use sabot_injections::book::Refusal;
use sabot_injections::engine::EngineError;
use sabot_injections::request::Selector;
use sabot_injections::rules::moment;

use crate::error::{ApiError, Conflict};

pub(super) fn refused(error: EngineError) -> ApiError {
    let status = match &error {
        EngineError::Refused(refusal) => status(refusal),
        EngineError::Unjournalled(_)
        | EngineError::NoJournal(_)
        | EngineError::Journal(_)
        | EngineError::Verifying => StatusCode::SERVICE_UNAVAILABLE,
        EngineError::NotYetJournalled(_) => StatusCode::INTERNAL_SERVER_ERROR,
        EngineError::NotApplied(_) => StatusCode::BAD_GATEWAY,
    };
    match error {
        EngineError::Refused(Refusal::Invalid(invalid)) => invalid.into(),
        EngineError::Refused(refusal) => ApiError {
            conflict: conflict(&refusal).map(Box::new),
            ..ApiError::new(status, refusal.to_string())
        },
        EngineError::NotYetJournalled(_) => ApiError::new(status, format!("the fault is off: {error}")),
        other => ApiError::new(status, other.to_string()),
    }
}

/// What it would be if the engine had asked.
pub(super) fn out_of_scope(proxy: &str, scope: &Selector) -> ApiError {
    refused(Refusal::OutOfScope { proxy: proxy.to_owned(), scope: scope.to_string() }.into())
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
        Refusal::OutOfScope { .. } | Refusal::SamePerson { .. } => StatusCode::FORBIDDEN,
        Refusal::NotFound { .. } => StatusCode::NOT_FOUND,
        Refusal::Collides { .. }
        | Refusal::Closed { .. }
        | Refusal::WrongState { .. }
        | Refusal::Exists { .. } => StatusCode::CONFLICT,
        Refusal::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
    }
}

fn conflict(refusal: &Refusal) -> Option<Conflict> {
    match refusal {
        Refusal::Collides { id, owner, ends_at_ms, .. } => Some(Conflict {
            id: Some(id.clone()),
            owner: Some(owner.clone()),
            ends_at: ends_at_ms.map(moment),
        }),
        Refusal::Closed { until_ms, .. } => {
            Some(Conflict { ends_at: Some(moment(*until_ms)), ..Conflict::default() })
        }
        _ => None,
    }
}
