//! The tables of the history, step by step: a file of an earlier Sabot goes through the steps that it
//! has not seen.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::HistoryError;

/// Each step once and for all: what was released is never changed, only added to. The number of steps
/// that a file has seen is its `user_version`.
pub(super) const STEPS: &[&str] = &["
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        started_at TEXT NOT NULL,
        title TEXT NOT NULL,
        variant TEXT,
        verdict TEXT NOT NULL,
        as_expected INTEGER NOT NULL,
        record BLOB NOT NULL
    );
    CREATE INDEX runs_of_an_experiment ON runs (title, variant, number);
"];

/// Brings the file to this Sabot's schema, whole or not at all.
pub(super) fn migrate(db: &mut Connection, file: &Path) -> Result<(), HistoryError> {
    let error = |error| HistoryError::of(file, error);
    // Whoever comes second waits here, and finds the work done.
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    let found: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(error)?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(HistoryError::Newer { file: file.to_owned(), found, known });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        change.execute_batch(step).map_err(error)?;
    }
    change.pragma_update(None, "user_version", known).map_err(error)?;
    change.commit().map_err(error)
}
