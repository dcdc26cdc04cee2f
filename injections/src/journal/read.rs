//! What was kept: all of it in order, or what is looked for.

use rusqlite::Row;
use serde::Serialize;

use super::anchor::{self, Anchor};
use super::chain::{self, Hash};
use super::{GONE, Journal, JournalError, Result, action_in, schema, shown, unusable};
use crate::book::Record;
use crate::clock::Moment;
use crate::event::{Actor, Event};

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stored {
    /// Its place, from 1 on.
    pub seq: u64,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: u64,
    /// Who did it.
    #[serde(flatten)]
    pub actor: Actor,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// Its hash, in hexadecimal: a proof of all that was until then.
    pub hash: String,
}

/// Which events are looked for; what is none bounds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// From then on, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Before then.
    pub until_ms: Option<u64>,
    /// Done by them.
    pub who: Option<String>,
    /// What begins with this, such as `injection` or `injection.ended`.
    pub action: Option<String>,
    /// About this injection, schedule or token.
    pub subject: Option<String>,
    /// Behind this place.
    pub after: Option<u64>,
    /// So many at most: the newest, or behind a place the first, so that all can be read in turn.
    pub most: Option<u32>,
}

impl Filter {
    /// The condition for what is given alone, so that there is an index for it, and its values in order.
    fn wheres(&self) -> (String, Vec<rusqlite::types::Value>) {
        let number = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX).into();
        let text = |text: &String| text.clone().into();
        let given = [
            ("at_ms >= ?", self.since_ms.map(number)),
            ("at_ms < ?", self.until_ms.map(number)),
            ("who = ?", self.who.as_ref().map(text)),
            // Itself, or with more words behind a dot.
            ("instr(action || '.', ? || '.') = 1", self.action.as_ref().map(text)),
            ("subject = ?", self.subject.as_ref().map(text)),
            ("seq > ?", self.after.map(number)),
        ];
        let given = given.into_iter().filter_map(|(condition, value)| Some((condition, value?)));
        let (conditions, values): (Vec<_>, Vec<_>) = given.unzip();
        let wheres = if conditions.is_empty() { String::new() } else { "WHERE ".to_owned() };
        (wheres + &conditions.join(" AND "), values)
    }
}

/// What a journal was found to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many events there are.
    pub events: u64,
    /// The place of the last one.
    pub last: u64,
    /// The hash of the last one, in hexadecimal.
    pub head: String,
    /// Whether all of it is in memory alone, and gone with the process.
    pub in_memory: bool,
}

impl Journal {
    /// Hands over each event, the oldest first, and checks that it is as it was written.
    ///
    /// # Errors
    /// One is not, or the file cannot be read.
    pub fn replay(&self, mut each: impl FnMut(Stored)) -> Result<Verified> {
        // Before the events are: meanwhile there may be more of both.
        let anchor = self.file.as_deref().map(Anchor::read).transpose();
        let anchor = anchor.map_err(|error| unusable(self.file.as_deref(), &error))?.flatten();
        let mut hash = schema::base(&self.db).map_err(|error| self.unusable(&error))?;
        let in_memory = self.file.is_none();
        let mut found = Verified { events: 0, last: 0, head: hash.to_hex(), in_memory };
        let mut read = || -> rusqlite::Result<std::result::Result<(), JournalError>> {
            let mut statement = self.db.prepare(&format!("SELECT {COLUMNS} FROM events ORDER BY seq"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let raw = Raw::read(row)?;
                let seq = raw.seq;
                let broken = |reason: &str| {
                    Ok(Err(JournalError::Broken {
                        file: shown(self.file.as_deref()),
                        seq,
                        reason: reason.to_owned(),
                    }))
                };
                if found.events > 0 && seq != found.last + 1 {
                    return broken("events before it are missing");
                }
                let expected = chain::next(&hash, seq, raw.at_ms, &raw.who, &raw.from, &raw.body);
                if expected != raw.hash {
                    return broken("it does not follow from the one before");
                }
                hash = expected;
                if anchor.is_some_and(|anchor| anchor.seq == seq && anchor.hash != hash) {
                    return broken("it is not the one that was there");
                }
                let (filed, subject) = (raw.action == action_in(&raw.body), raw.subject.clone());
                let Some(stored) = raw.stored() else { return broken("it cannot be read") };
                if !filed || subject.as_deref() != stored.event.subject() {
                    return broken("it is filed under another name");
                }
                found = Verified { events: found.events + 1, last: seq, head: hash.to_hex(), in_memory };
                each(stored);
            }
            Ok(Ok(()))
        };
        read().map_err(|error| self.unusable(&error))??;
        match anchor {
            Some(anchor) if anchor.seq > found.last => Err(JournalError::Broken {
                file: shown(self.file.as_deref()),
                seq: found.last + 1,
                reason: format!("there were {} events, by {} beside it", anchor.seq, anchor::FILE),
            }),
            _ => Ok(found),
        }
    }

    /// Checks that every event is as it was written, and that it is there for others too.
    ///
    /// # Errors
    /// One is not, or the file cannot be read, or is another one now.
    pub fn verify(&self) -> Result<Verified> {
        // This handle would read on in a file that has no name any more.
        if self.is_gone() {
            let (file, reason) = (shown(self.file.as_deref()), GONE.to_owned());
            return Err(JournalError::Broken { file, seq: 1, reason });
        }
        self.replay(drop)
    }

    /// The events that are looked for, the oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn query(&self, filter: &Filter) -> Result<Vec<Stored>> {
        let (wheres, values) = filter.wheres();
        let order = if filter.after.is_some() { "ASC" } else { "DESC" };
        let most = filter.most.map_or(-1, i64::from);
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT * FROM events {wheres} ORDER BY seq {order} LIMIT {most}) ORDER BY seq"
        );
        let read = || -> rusqlite::Result<Vec<Raw>> {
            let mut statement = self.db.prepare_cached(&sql)?;
            statement.query_map(rusqlite::params_from_iter(values), Raw::read)?.collect()
        };
        let rows = read().map_err(|error| self.unusable(&error))?;
        // What cannot be read is told by `verify`.
        Ok(rows.into_iter().filter_map(Raw::stored).collect())
    }
}

pub(super) const COLUMNS: &str = "seq, at_ms, who, origin, action, subject, body, hash";

/// A row.
struct Raw {
    seq: u64,
    at_ms: u64,
    who: String,
    from: String,
    action: String,
    subject: Option<String>,
    body: String,
    hash: Hash,
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let number =
            |at: usize| -> rusqlite::Result<u64> { Ok(row.get::<_, i64>(at)?.try_into().unwrap_or(0)) };
        Ok(Self {
            seq: number(0)?,
            at_ms: number(1)?,
            who: row.get(2)?,
            from: row.get(3)?,
            action: row.get(4)?,
            subject: row.get(5)?,
            body: row.get(6)?,
            hash: Hash(row.get(7)?),
        })
    }

    fn stored(self) -> Option<Stored> {
        let event = serde_json::from_str(&self.body).ok()?;
        let actor = Actor { who: self.who, from: self.from };
        Some(Stored { seq: self.seq, at_ms: self.at_ms, actor, event, hash: self.hash.to_hex() })
    }
}

impl Stored {
    /// As the [`Book`](crate::book::Book) takes it. The steady clock is that of another process, and stands
    /// in the events where it matters.
    #[must_use]
    pub fn into_record(self) -> Record {
        let at = Moment { wall_ms: self.at_ms, steady_ms: 0 };
        Record { at, actor: self.actor, event: self.event }
    }
}
