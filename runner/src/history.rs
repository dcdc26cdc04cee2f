//! The runs that were, in one SQLite file: so that a report can be written again, and a run compared
//! with an earlier one.
//!
//! - [`History`]: append, list, find, remove;
//! - `schema`: the tables, and how a file of an earlier Sabot becomes one of this;
//! - `error`: what can go wrong, and what to do then.
//!
//! A record is kept as compressed JSON. Several processes may use one file: writers wait for each
//! other, for at most `BUSY`.

mod error;
mod schema;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use serde::Serialize;

use crate::judge::Verdict;
use crate::record::Record;

pub use error::HistoryError;

/// The file's name in the state directory.
pub const FILE: &str = "runs.sqlite3";

/// So many runs are kept; with each further one the oldest goes. A run of five minutes takes about
/// 20 KB.
pub const KEPT: u32 = 1000;

/// A record that unpacks to more is none of ours: a week of load takes less.
const LARGEST_BYTES: u64 = 512 << 20;

/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(10);

/// How soon to try again what SQLite does not wait for by itself.
const AGAIN: Duration = Duration::from_millis(5);

/// The runs that were.
#[derive(Debug)]
pub struct History {
    file: PathBuf,
    db: Connection,
}

/// A run in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Names it.
    pub id: String,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// The experiment's title.
    pub title: String,
    /// The variant, if it has several.
    pub variant: Option<String>,
    /// What it came to: a [`Verdict`] by its name.
    pub verdict: String,
    /// Whether that was the expected one.
    pub as_expected: bool,
}

type Result<T> = std::result::Result<T, HistoryError>;

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

impl History {
    /// Opens the history of a state directory; makes both if need be.
    ///
    /// # Errors
    /// The directory cannot be made, or its file is not a history, or one of a newer Sabot.
    pub fn open(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)
            .map_err(|error| HistoryError::Directory { directory: directory.to_owned(), error })?;
        let file = directory.join(FILE);
        let opened = Connection::open(&file).and_then(|db| {
            db.busy_timeout(BUSY)?;
            // Readers go on while somebody writes; what was committed survives a crash of the process.
            write_ahead(&db)?;
            db.pragma_update(None, "synchronous", "NORMAL")?;
            Ok(db)
        });
        let mut db = opened.map_err(|error| HistoryError::of(&file, error))?;
        schema::migrate(&mut db, &file)?;
        Ok(Self { file, db })
    }

    /// Adds a run. The oldest beyond [`KEPT`] go.
    ///
    /// # Errors
    /// The file cannot be written, or a run of this id is there already.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        self.append_keeping(record, KEPT)
    }

    fn append_keeping(&mut self, record: &Record, kept: u32) -> Result<()> {
        let packed = pack(record).map_err(|error| self.damaged(&record.id, &error))?;
        let change = self.db.transaction().and_then(|change| {
            change.execute(
                "INSERT INTO runs (id, started_at, title, variant, verdict, as_expected, record) VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![
                    record.id,
                    record.started_at,
                    record.title,
                    record.variant,
                    record.judgement.verdict.name(),
                    record.as_expected(),
                    packed
                ],
            )?;
            change.execute("DELETE FROM runs WHERE number NOT IN (SELECT number FROM runs ORDER BY number DESC LIMIT ?)", [kept])?;
            change.commit()
        });
        change.map_err(|error| self.error(error))
    }

    /// The newest runs, the newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn list(&self, most: u32) -> Result<Vec<Run>> {
        self.runs("ORDER BY number DESC LIMIT ?", params![most])
    }

    /// The record of a run, by its id, by letters that only its id begins with, or `last`.
    ///
    /// # Errors
    /// There is no such run, or several, or it cannot be read.
    pub fn find(&self, reference: &str) -> Result<Record> {
        let run = self.run(reference)?;
        self.record(&run.id)
    }

    /// The newest run of an experiment and variant; none if there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn latest(&self, title: &str, variant: Option<&str>) -> Result<Option<Run>> {
        let newest = "WHERE title = ? AND variant IS ? ORDER BY number DESC LIMIT 1";
        Ok(self.runs(newest, params![title, variant])?.pop())
    }

    /// Removes a run, named as for [`Self::find`]; which one it was.
    ///
    /// # Errors
    /// There is no such run, or several, or the file cannot be written.
    pub fn remove(&mut self, reference: &str) -> Result<Run> {
        let run = self.run(reference)?;
        self.db.execute("DELETE FROM runs WHERE id = ?", [&run.id]).map_err(|error| self.error(error))?;
        Ok(run)
    }

    /// Its file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn run(&self, reference: &str) -> Result<Run> {
        let mut found = match reference {
            "last" => self.list(1)?,
            // A whole id is itself, also where another one begins with it.
            id => match self.runs("WHERE id = ?", [id])? {
                exact if !exact.is_empty() => exact,
                _ => self.runs("WHERE substr(id, 1, length(?1)) = ?1 ORDER BY number DESC LIMIT 6", [id])?,
            },
        };
        match (found.pop(), found.is_empty()) {
            (Some(run), true) if !reference.is_empty() => Ok(run),
            (None, _) => Err(HistoryError::Unknown { reference: reference.to_owned() }),
            (Some(run), _) => {
                let ids = found.into_iter().chain([run]).map(|run| run.id).collect();
                Err(HistoryError::Ambiguous { reference: reference.to_owned(), ids })
            }
        }
    }

    fn runs(&self, which: &str, values: impl rusqlite::Params) -> Result<Vec<Run>> {
        let sql = format!("SELECT id, started_at, title, variant, verdict, as_expected FROM runs {which}");
        let read = || {
            let mut statement = self.db.prepare(&sql)?;
            let rows = statement.query_map(values, |row| {
                Ok(Run {
                    id: row.get(0)?,
                    started_at: row.get(1)?,
                    title: row.get(2)?,
                    variant: row.get(3)?,
                    verdict: row.get(4)?,
                    as_expected: row.get(5)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.error(error))
    }

    fn record(&self, id: &str) -> Result<Record> {
        let packed: Option<Vec<u8>> = self
            .db
            .query_row("SELECT record FROM runs WHERE id = ?", [id], |row| row.get(0))
            .optional()
            .map_err(|error| self.error(error))?;
        // Another process may have removed it in between.
        let packed = packed.ok_or_else(|| HistoryError::Unknown { reference: id.to_owned() })?;
        let json = unpack(&packed, LARGEST_BYTES).map_err(|error| self.damaged(id, &error))?;
        Record::read(&json).map_err(|error| self.damaged(id, &error))
    }

    fn error(&self, error: rusqlite::Error) -> HistoryError {
        HistoryError::of(&self.file, error)
    }

    fn damaged(&self, id: &str, reason: &dyn std::fmt::Display) -> HistoryError {
        HistoryError::Record { file: self.file.clone(), id: id.to_owned(), reason: reason.to_string() }
    }
}

impl Run {
    /// Its verdict; none if a newer Sabot knows one that this one does not.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        serde_json::from_value(self.verdict.clone().into()).ok()
    }
}

fn pack(record: &Record) -> std::io::Result<Vec<u8>> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
    serde_json::to_writer(&mut packer, record)?;
    packer.flush()?;
    packer.finish()
}

/// A few bytes can claim to be any number of them: the limit is where to stop believing it.
fn unpack(packed: &[u8], largest: u64) -> std::io::Result<String> {
    let mut json = String::new();
    ZlibDecoder::new(packed).take(largest + 1).read_to_string(&mut json)?;
    if json.len() as u64 > largest {
        return Err(std::io::Error::other(format!("it is larger than {largest} bytes")));
    }
    Ok(json)
}

#[cfg(test)]
mod tests;
