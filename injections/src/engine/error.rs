//! Why something was not done.

use sabot_toxics::Invalid;

use crate::book::Refusal;
use crate::journal::JournalError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It may not be done.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be written down, so it was not done.
    #[error("it could not be journalled, so it was not done: {0}")]
    Unjournalled(String),
    /// What is kept cannot be read.
    #[error("{0}")]
    NoJournal(String),
    /// Somebody else does so now.
    #[error("the journal is being verified already: wait for that, and ask again")]
    Verifying,
    /// It was done, and could not be written down yet.
    #[error("it is done, but could not be journalled yet: {0}")]
    NotYetJournalled(String),
    /// It could not be put on.
    #[error("the fault could not be put on: {0}")]
    NotApplied(String),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl From<Invalid> for EngineError {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.into())
    }
}
