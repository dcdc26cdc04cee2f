//! What is kept: all that happened, in the order in which it did, in one SQLite file.
//!
//! Nothing in it is ever changed. Each event is hashed together with the hash of the one before, so
//! that whoever changes one has to change all that follow ([`Journal::verify`]). How far it was stands in a
//! file beside it, so that events that were cut off at the end are missed, and a journal that was taken away;
//! whoever has noted the last hash elsewhere knows of one who changes both.
//!
//! | module | what is in it |
//! |---|---|
//! | [`Journal`] | open, append |
//! | `chain` | what is hashed |
//! | `anchor` | how far it was |
//! | [`Cause`] | why it cannot be used |
//! | [`Ended`] | what is over and could not be journalled |
//! | `read` | replay, verify, query |
//! | `schema` | the tables |
//! | `tokens` | what is kept of tokens |
//! | [`Writer`] | the thread that appends, and what it does when it cannot |
//!
//! Without a directory it is kept in memory, the newest events only. A commit survives the death of the
//! process, not that of the machine: then the faults are gone as well.

mod anchor;
mod cause;
mod chain;
mod ended;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod tokens;
mod writer;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, Row, Transaction, TransactionBehavior, params,
};

use crate::book::Record;
use crate::event::Event;
use anchor::Anchor;
pub use cause::Cause;
use chain::Hash;
pub use ended::Ended;
use read::COLUMNS;
pub use read::{Filter, Stored, Verified};
pub use writer::{Unwritten, Writer};

/// The file's name in the state directory.
pub const FILE: &str = "journal.sqlite3";

/// Without a file so many events are kept: about 50 MB of memory.
const KEPT_IN_MEMORY: u64 = 100_000;

/// How often the oldest of those go.
const PRUNED_EVERY: u64 = 1000;

/// How long to wait for another process that writes, such as `sabot token`; less than a client waits to be told
/// that a fault is off.
const BUSY: Duration = Duration::from_secs(2);

/// How soon to try again what SQLite does not wait for by itself.
const AGAIN: Duration = Duration::from_millis(5);

/// How often it is noted how far the journal is: what was written before has to be on the disk then, and the
/// disk may take its time.
const ANCHORED_EVERY: Duration = Duration::from_secs(60);

/// What is wrong with a file that this process alone finds still.
const GONE: &str = "the file was removed or replaced under the server: put it back";

/// All that happened.
#[derive(Debug)]
pub struct Journal {
    file: Option<PathBuf>,
    db: Connection,
    /// Which file it was when it was opened.
    inode: Option<u64>,
    /// The last event that this handle knows of.
    last: Option<Anchor>,
    /// When it was noted last how far it is.
    anchored: Option<Instant>,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its directory or file cannot be used.
    #[error("the journal {file} cannot be used: {reason}")]
    Unusable {
        /// Which one.
        file: String,
        /// What the system said.
        reason: String,
        /// What kind of trouble that is.
        cause: Cause,
    },
    /// It was written by a newer Sabot.
    #[error("the journal {file} has format {found}, this version knows {known}: use a newer Sabot")]
    Newer {
        /// Which one.
        file: String,
        /// Its format.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// It is not as it was written.
    #[error("the journal {file} was changed or damaged at event {seq}: {reason}")]
    Broken {
        /// Which one.
        file: String,
        /// The first event that is not as it was.
        seq: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// A journal that several threads use.
pub type Shared = Arc<Mutex<Journal>>;

type Result<T> = std::result::Result<T, JournalError>;

impl Journal {
    /// Opens the journal of a state directory, and makes it if need be; without one, in memory.
    ///
    /// # Errors
    /// The directory cannot be used, or the file is no journal, or one of a newer Sabot.
    pub fn open(directory: Option<&Path>) -> Result<Self> {
        let file = directory.map(|directory| directory.join(FILE));
        let unusable = |error: &(dyn std::error::Error + 'static)| unusable(file.as_deref(), error);
        if let Some(directory) = directory {
            std::fs::create_dir_all(directory).map_err(|error| unusable(&error))?;
        }
        let opened = match &file {
            Some(file) => Connection::open(file),
            None => Connection::open_in_memory(),
        };
        let opened = opened.and_then(|db| {
            db.busy_timeout(BUSY)?;
            write_ahead(&db)?;
            db.pragma_update(None, "synchronous", "NORMAL")?;
            Ok(db)
        });
        let mut db = opened.map_err(|error| unusable(&error))?;
        schema::migrate(&mut db, file.as_deref())?;
        let inode = file.as_deref().and_then(inode);
        let last = last(&db).map_err(|error| unusable(&error))?;
        Ok(Self { file, db, inode, last, anchored: None })
    }

    /// For one who writes and many who read: two handles of the same file, so that they do not wait for
    /// each other, or twice the one of what is in memory.
    ///
    /// # Errors
    /// The file cannot be opened again.
    pub fn split(self) -> Result<(Shared, Shared)> {
        let reader =
            self.file.as_deref().and_then(Path::parent).map(|it| Self::open(Some(it))).transpose()?;
        let writer = Arc::new(Mutex::new(self));
        let reader = reader.map_or_else(|| Arc::clone(&writer), |reader| Arc::new(Mutex::new(reader)));
        Ok((writer, reader))
    }

    /// What was over when the server died, and could not be journalled then.
    #[must_use]
    pub fn ended(&self) -> Ended {
        self.file.as_deref().map(Ended::read).unwrap_or_default()
    }

    /// Appends events, all or none.
    ///
    /// # Errors
    /// The file cannot be written, such as for want of space.
    pub fn append<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
        let records: Vec<_> = records.into_iter().collect();
        let file = self.file.clone();
        // Events in a file that nobody finds again are kept for nobody.
        if self.is_gone() {
            let reason = GONE.to_owned();
            let (file, cause) = (shown(file.as_deref()), Cause::System);
            return Err(JournalError::Unusable { file, reason, cause });
        }
        let appended = append(&mut self.db, &records, self.file.is_none(), self.last);
        let appended = appended.map_err(|error| unusable(file.as_deref(), &error))?;
        let missed = || JournalError::Broken {
            file: shown(file.as_deref()),
            seq: self.last.map_or(0, |last| last.seq),
            reason: "it was removed or changed".to_owned(),
        };
        self.last = Some(appended.ok_or_else(missed)?);
        let stops = records.iter().any(|it| matches!(it.event, Event::ServerStopped {}));
        if stops || self.anchored.is_none_or(|at| at.elapsed() >= ANCHORED_EVERY) {
            self.anchor(stops);
        }
        Ok(())
    }

    /// Whether whoever looks for the file finds another one, or none.
    fn is_gone(&self) -> bool {
        self.file.as_deref().and_then(inode) != self.inode
    }

    /// Notes how far it is; `whole` has all of it in the one file, as who copies it expects.
    fn anchor(&mut self, whole: bool) {
        let Some((file, last)) = self.file.as_deref().zip(self.last) else { return };
        // After the machine's death there must not be less than what is noted.
        let checkpoint =
            if whole { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "PRAGMA wal_checkpoint(PASSIVE)" };
        let kept = self.db.query_row(checkpoint, [], |_| Ok(()));
        let noted = kept.map_err(std::io::Error::other).and_then(|()| last.write(file));
        if let Err(error) = noted {
            // What was noted before is as true as it was.
            tracing::warn!(%error, "how far the journal is could not be noted");
        }
        self.anchored = Some(Instant::now());
    }

    fn unusable(&self, error: &rusqlite::Error) -> JournalError {
        unusable(self.file.as_deref(), error)
    }
}

/// Notes beside a journal that cannot be read that all that it has on is over, and by whom.
///
/// # Errors
/// The file cannot be written.
pub fn note_halt(directory: &Path, who: &str) -> std::io::Result<()> {
    ended::halt(&directory.join(FILE), who)
}

/// Has the file written ahead, as it is already unless it is new. While several make it at once SQLite refuses all but
/// one without waiting, whatever it is told.
fn write_ahead(db: &Connection) -> rusqlite::Result<()> {
    let until = Instant::now() + BUSY;
    loop {
        match db.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until =>
            {
                thread::sleep(AGAIN);
            }
            other => return other,
        }
    }
}

/// A change for which no other process can append.
fn begin(db: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// The last event afterwards; none, and nothing is appended, if the one that is known is there no more.
fn append(
    db: &mut Connection,
    records: &[&Record],
    in_memory: bool,
    known: Option<Anchor>,
) -> rusqlite::Result<Option<Anchor>> {
    let change = begin(db)?;
    // Another process may have appended: what is last is asked once nobody else can.
    let last = last(&change)?;
    if let Some(known) = known
        && last != Some(known)
        && hash_at(&change, known.seq)? != Some(known.hash)
    {
        return Ok(None);
    }
    let last = append_in(&change, last, records, in_memory)?;
    change.commit()?;
    Ok(Some(last))
}

fn last(db: &Connection) -> rusqlite::Result<Option<Anchor>> {
    let last = "SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1";
    let anchor = |row: &Row<'_>| {
        let seq = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
        Ok(Anchor { seq, hash: Hash(row.get(1)?) })
    };
    db.prepare_cached(last)?.query_row([], anchor).optional()
}

fn hash_at(db: &Connection, seq: u64) -> rusqlite::Result<Option<Hash>> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let at = "SELECT hash FROM events WHERE seq = ?";
    db.prepare_cached(at)?.query_row([seq], |row| Ok(Hash(row.get(0)?))).optional()
}

fn inode(file: &Path) -> Option<u64> {
    Some(std::fs::metadata(file).ok()?.ino())
}

/// Appends after what is last, within a change that somebody has begun; the last event then.
fn append_in(
    change: &Transaction<'_>,
    last: Option<Anchor>,
    records: &[&Record],
    in_memory: bool,
) -> rusqlite::Result<Anchor> {
    let Anchor { mut seq, mut hash } = match last {
        Some(last) => last,
        None => Anchor { seq: 0, hash: schema::base(change)? },
    };
    {
        let mut insert = change
            .prepare_cached(&format!("INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"))?;
        for Record { at, actor, event } in records {
            seq += 1;
            let body = serde_json::to_string(event)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            hash = chain::next(&hash, seq, at.wall_ms, &actor.who, &actor.from, &body);
            let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            insert.execute(params![
                number(seq),
                number(at.wall_ms),
                actor.who,
                actor.from,
                action_in(&body),
                event.subject(),
                body,
                hash.0
            ])?;
        }
    }
    if in_memory && seq % PRUNED_EVERY < records.len() as u64 {
        schema::prune(change, seq.saturating_sub(KEPT_IN_MEMORY))?;
    }
    Ok(Anchor { seq, hash })
}

/// The name of what happened, in an event as it is written: the tag comes first, and holds nothing to escape.
fn action_in(body: &str) -> &str {
    body.strip_prefix(r#"{"action":""#).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

fn shown(file: Option<&Path>) -> String {
    file.map_or_else(|| "in memory".to_owned(), |file| file.display().to_string())
}

fn unusable(file: Option<&Path>, error: &(dyn std::error::Error + 'static)) -> JournalError {
    JournalError::Unusable { file: shown(file), reason: error.to_string(), cause: Cause::of(error) }
}
