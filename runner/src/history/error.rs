//! What can go wrong with the history, and what to do then.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the history could not be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Its directory cannot be made.
    #[error("failed to make the state directory {}: {error}; name another with --state-dir", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no SQLite database, or a damaged one.
    #[error("{} is damaged or no history of Sabot ({reason}); move it away, and a new one is begun", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// A newer Sabot has changed it.
    #[error("{} was written by a newer Sabot (schema {found}, this one knows {known}); use that one, or name another --state-dir", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that this Sabot knows.
        known: i64,
    },
    /// Another process writes and does not come to an end.
    #[error("{} is locked: another sabot writes to it; wait for it, or name another --state-dir", file.display())]
    Busy {
        /// The file.
        file: PathBuf,
    },
    /// A run of this id is there already.
    #[error("{}: a run of this id is there already; every run has an id of its own", file.display())]
    Twice {
        /// The file.
        file: PathBuf,
    },
    /// Anything else: no space, no permission.
    #[error("failed to use {}: {reason}; is its directory writable, and the disk not full?", file.display())]
    Other {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// A run's record cannot be packed or read.
    #[error("run {id} in {} cannot be read: {reason}; remove it with `sabot history remove {id}`", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// The run.
        id: String,
        /// Why.
        reason: String,
    },
    /// No run is named so.
    #[error("there is no run `{reference}`; `sabot history` lists them all")]
    Unknown {
        /// What was asked for.
        reference: String,
    },
    /// Several runs are.
    #[error("`{reference}` could be any of {}; write more of it", ids.join(", "))]
    Ambiguous {
        /// What was asked for.
        reference: String,
        /// Whose ids begin so; not all, if they are many.
        ids: Vec<String>,
    },
}

impl HistoryError {
    pub(super) fn of(file: &Path, error: rusqlite::Error) -> Self {
        let file = file.to_owned();
        let reason = error.to_string();
        match error {
            // A file of other tables: `runs` is missing, or has other columns.
            rusqlite::Error::SqlInputError { .. }
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..) => Self::Damaged { file, reason },
            error => match error.sqlite_error_code() {
                // "Unknown" is SQLite's word for an error of SQL: the tables are not ours.
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => {
                    Self::Damaged { file, reason }
                }
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { file },
                Some(ErrorCode::ConstraintViolation) => Self::Twice { file },
                _ => Self::Other { file, reason },
            },
        }
    }
}
