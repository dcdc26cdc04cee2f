//! Tokens: a table beside the events, changed together with them.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Journal, Result, append_in, begin, last, unusable};
use crate::access::secret::Hash;
use crate::access::{Row as Kept, Token};
use crate::book::Record;

const COLUMNS: &str = "id, owner, role, scope, created_at_ms, expires_at_ms";

impl Journal {
    /// Adds a token and the event that tells of it, both or none; whether there were fewer than `most`.
    pub(crate) fn add_token(
        &mut self,
        token: &Token,
        hash: &Hash,
        most: u64,
        record: &Record,
    ) -> Result<bool> {
        let in_memory = self.file.is_none();
        let mut add = || {
            let change = begin(&mut self.db)?;
            let count: i64 = change.query_row("SELECT count(*) FROM tokens", [], |row| row.get(0))?;
            if u64::try_from(count).is_ok_and(|count| count >= most) {
                return Ok(false);
            }
            let number = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
            change.execute(
                &format!("INSERT INTO tokens ({COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"),
                params![
                    token.id,
                    token.owner,
                    token.role.as_str(),
                    token.scope.to_string(),
                    number(token.created_at_ms),
                    token.expires_at_ms.map(number),
                    hash.0
                ],
            )?;
            append_in(&change, last(&change)?, &[record], in_memory)?;
            change.commit()?;
            Ok(true)
        };
        add().map_err(|error: rusqlite::Error| unusable(self.file.as_deref(), &error))
    }

    /// Removes a token and adds the event that tells of it, both or none; whether there was one.
    pub(crate) fn remove_token(&mut self, id: &str, record: &Record) -> Result<bool> {
        let in_memory = self.file.is_none();
        let mut remove = || {
            let change = begin(&mut self.db)?;
            if change.execute("DELETE FROM tokens WHERE id = ?", [id])? == 0 {
                return Ok(false);
            }
            append_in(&change, last(&change)?, &[record], in_memory)?;
            change.commit()?;
            Ok(true)
        };
        remove().map_err(|error: rusqlite::Error| unusable(self.file.as_deref(), &error))
    }

    /// All tokens, the oldest first.
    pub(crate) fn tokens(&self) -> Result<Vec<Token>> {
        let read = || {
            let sql = format!("SELECT {COLUMNS} FROM tokens ORDER BY created_at_ms, id");
            let mut statement = self.db.prepare_cached(&sql)?;
            statement.query_map([], kept)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = read().map_err(|error| self.unusable(&error))?;
        Ok(rows.into_iter().filter_map(Kept::read).collect())
    }

    /// The token of a hash, with the hash that is kept of it.
    pub(crate) fn token(&self, hash: &Hash) -> Result<Option<(Token, Hash)>> {
        let read = || {
            let sql = format!("SELECT {COLUMNS}, hash FROM tokens WHERE hash = ?");
            let mut statement = self.db.prepare_cached(&sql)?;
            statement.query_row([hash.0], |row| Ok((kept(row)?, Hash(row.get(6)?)))).optional()
        };
        let found = read().map_err(|error| self.unusable(&error))?;
        Ok(found.and_then(|(row, hash)| Some((row.read()?, hash))))
    }

    /// The token of a name.
    pub(crate) fn token_called(&self, id: &str) -> Result<Option<Token>> {
        let read = || {
            let sql = format!("SELECT {COLUMNS} FROM tokens WHERE id = ?");
            self.db.prepare_cached(&sql)?.query_row([id], kept).optional()
        };
        let found = read().map_err(|error| self.unusable(&error))?;
        Ok(found.and_then(Kept::read))
    }
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let ms = |ms: i64| u64::try_from(ms).unwrap_or(0);
    Ok(Kept {
        id: row.get(0)?,
        owner: row.get(1)?,
        role: row.get(2)?,
        scope: row.get(3)?,
        created_at_ms: ms(row.get(4)?),
        expires_at_ms: row.get::<_, Option<i64>>(5)?.map(ms),
    })
}
