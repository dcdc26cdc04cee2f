//! The tables, step by step: a file of an earlier Sabot goes through the steps that it has not seen.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::chain::Hash;
use super::{JournalError, hash_at, shown, unusable};

/// Each step once and for all: what was released is never changed, only added to. The number of steps that
/// a file has seen is its `user_version`.
const STEPS: &[&str] = &["
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        who TEXT NOT NULL,
        origin TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT,
        body TEXT NOT NULL,
        hash BLOB NOT NULL
    ) STRICT;
    CREATE INDEX events_by_time ON events (at_ms);
    CREATE INDEX events_by_subject ON events (subject, seq) WHERE subject IS NOT NULL;
    CREATE TABLE base (hash BLOB NOT NULL) STRICT;
    CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        role TEXT NOT NULL,
        scope TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER
    ) STRICT;
"];

/// Brings the file to this Sabot's tables, whole or not at all.
pub(super) fn migrate(db: &mut Connection, file: Option<&Path>) -> Result<(), JournalError> {
    let error = |error| unusable(file, &error);
    // Whoever comes second waits here, and finds the work done.
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    let found: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(error)?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(JournalError::Newer { file: shown(file), found, known });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        change.execute_batch(step).map_err(error)?;
    }
    change.pragma_update(None, "user_version", known).map_err(error)?;
    change.commit().map_err(error)
}

/// The hash that the first event that is kept follows from.
pub(super) fn base(db: &Connection) -> rusqlite::Result<Hash> {
    let base = db.prepare_cached("SELECT hash FROM base")?.query_row([], |row| row.get(0)).optional()?;
    Ok(Hash(base.unwrap_or_default()))
}

/// Forgets the events up to `seq`.
pub(super) fn prune(db: &Connection, seq: u64) -> rusqlite::Result<()> {
    if let Some(hash) = hash_at(db, seq)? {
        db.execute("DELETE FROM base", [])?;
        db.execute("INSERT INTO base (hash) VALUES (?)", params![hash.0])?;
        db.execute("DELETE FROM events WHERE seq <= ?", [i64::try_from(seq).unwrap_or(0)])?;
    }
    Ok(())
}
