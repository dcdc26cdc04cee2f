//! Who may: tokens, what they are for, and where they are kept.
//!
//! | module | what is in it |
//! |---|---|
//! | [`Access`] | creates, revokes, lists and looks up tokens, beside a running server too |
//! | [`role`] | what a token is for |
//! | [`secret`] | the token itself, as its owner has it |
//!
//! A token is shown once, when it is created. What is kept of it is its hash, in the journal's file; that it
//! was created or revoked stands in the journal itself, written in the same transaction.

pub mod role;
pub mod secret;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sabot_toxics::Invalid;
use serde::Serialize;

use crate::book::Record;
use crate::clock::{Clock, Machine};
use crate::event::{Actor, Event};
use crate::journal::{Journal, JournalError};
use crate::request::Selector;
use role::{Need, Role};
use secret::{Hash, Secret};

/// So many tokens may be there; more are a script that has run wild.
const MOST: u64 = 10_000;

/// Bytes of an owner's name or address: the longest address that mail knows.
const LONGEST_OWNER: usize = 254;

/// What the journal calls the server itself, and who shows no token.
const RESERVED: [&str; 2] = ["sabot", "unknown"];

/// No token is valid for longer, if it says for how long: a hundred years.
const LONGEST_LIFE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What is known of a token; not the token itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its name.
    pub id: String,
    /// Whose it is: a name or an address.
    pub owner: String,
    /// What it is for.
    pub role: Role,
    /// Which proxies it may change; empty is all.
    pub scope: Selector,
    /// When it was created, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// From when on it is worth nothing, in milliseconds since 1970; none is never.
    pub expires_at_ms: Option<u64>,
}

/// A token to be created.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Whose it is: a name or an address.
    pub owner: String,
    /// What it is for.
    pub role: Role,
    /// Which proxies it may change; empty is all.
    pub scope: Selector,
    /// For how long it is worth anything; none is until it is revoked.
    pub expires_in: Option<Duration>,
}

/// Why a token is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Worthless {
    /// Nothing that was ever given out, or it was revoked.
    #[error("this token is unknown, or was revoked")]
    Unknown,
    /// Its time is over.
    #[error("this token has expired")]
    Expired,
}

/// Why tokens cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A field cannot be what it is.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is none of this name.
    #[error("there is no token `{0}`")]
    NotFound(String),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    NoChance(String),
    /// The file cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The tokens of a state directory. Clones are handles of the same ones; other processes may have their own.
#[derive(Clone)]
pub struct Access {
    /// Apart from that which writes, so that who asks never waits for who changes.
    reader: Arc<Mutex<Journal>>,
    writer: Arc<Mutex<Journal>>,
    clock: Arc<dyn Clock>,
}

impl Access {
    /// The tokens of a state directory, whether or not a server uses it. Nothing is kept in memory: what
    /// another process has revoked is worth nothing at the next look.
    ///
    /// # Errors
    /// The directory cannot be used, or its journal is none, or one of a newer Sabot.
    pub fn open(directory: &Path) -> Result<Self, AccessError> {
        Self::open_with(directory, Arc::new(Machine))
    }

    fn open_with(directory: &Path, clock: Arc<dyn Clock>) -> Result<Self, AccessError> {
        let (writer, reader) = Journal::open(Some(directory))?.split()?;
        Ok(Self { reader, writer, clock })
    }

    /// Creates a token: what is known of it, and the token itself, which nobody is told again.
    ///
    /// Waits for other processes that write, for 2 s at most; not for async code.
    ///
    /// # Errors
    /// A field cannot be what it is, or the file cannot be written.
    pub fn create(&self, actor: &Actor, new: NewToken) -> Result<(Token, Secret), AccessError> {
        let NewToken { owner, role, scope, expires_in } = new;
        let owner = owner.trim().to_owned();
        check_owner(&owner)?;
        let now = self.clock.now();
        let expires_at_ms = expires_in.map(|span| expiry(now.wall_ms, span)).transpose()?;
        let (id, secret) = (secret::id()?, Secret::draw()?);
        let token = Token { id, owner, role, scope, created_at_ms: now.wall_ms, expires_at_ms };
        let event = Event::TokenCreated {
            id: token.id.clone(),
            owner: token.owner.clone(),
            role: token.role.to_string(),
            scope: token.scope.to_string(),
            expires_at_ms,
        };
        let record = Record { at: now, actor: actor.clone(), event };
        let mut journal = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if !journal.add_token(&token, &secret.hash(), MOST, &record)? {
            let message = format!("there are {MOST} tokens already: revoke some");
            return Err(Invalid::new("owner", message).into());
        }
        Ok((token, secret))
    }

    /// Revokes a token: it is worth nothing from now on, for a server that runs as well.
    ///
    /// Waits for other processes that write, for 2 s at most; not for async code.
    ///
    /// # Errors
    /// There is none of this name, or the file cannot be written.
    pub fn revoke(&self, actor: &Actor, id: &str) -> Result<(), AccessError> {
        let event = Event::TokenRevoked { id: id.to_owned() };
        let record = Record { at: self.clock.now(), actor: actor.clone(), event };
        let mut journal = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.remove_token(id, &record)? { Ok(()) } else { Err(AccessError::NotFound(id.to_owned())) }
    }

    /// All tokens that were not revoked, those that have expired too, the oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn tokens(&self) -> Result<Vec<Token>, AccessError> {
        Ok(self.reader.lock().unwrap_or_else(PoisonError::into_inner).tokens()?)
    }

    /// What a token that somebody shows is worth. Takes some 10 µs, and waits for nobody who writes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn look_up(&self, shown: &str) -> Result<Result<Token, Worthless>, AccessError> {
        let hash = Hash::of(shown);
        let found = self.reader.lock().unwrap_or_else(PoisonError::into_inner).token(&hash)?;
        // How long the look-up by an index takes may tell something of the first bytes of the hash of what
        // was shown. That is of no use: whoever could choose tokens by their hash could turn blake3 around,
        // and the hash of a token says nothing of the token, which has 256 random bits. The last word is a
        // comparison of the whole hash all the same, and takes as long wherever they differ.
        let Some(token) = found.and_then(|(token, kept)| (kept == hash).then_some(token)) else {
            return Ok(Err(Worthless::Unknown));
        };
        let expired = self.expired(&token);
        Ok(if expired { Err(Worthless::Expired) } else { Ok(token) })
    }

    /// Whether a token that was good once still is. Takes some 10 µs.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_good(&self, id: &str) -> Result<bool, AccessError> {
        let found = self.reader.lock().unwrap_or_else(PoisonError::into_inner).token_called(id)?;
        Ok(found.is_some_and(|token| !self.expired(&token)))
    }

    /// Whether somebody has a token to set faults with, on all that a scope holds.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn may_operate(&self, owner: &str, scope: &Selector) -> Result<bool, AccessError> {
        let good = |token: &Token| {
            token.owner == owner
                && token.role.may(Need::Operate)
                && (token.scope.is_empty() || token.scope == *scope)
                && !self.expired(token)
        };
        Ok(self.tokens()?.iter().any(good))
    }

    /// Whether the time of a token is over.
    #[must_use]
    pub fn expired(&self, token: &Token) -> bool {
        token.expires_at_ms.is_some_and(|at| self.clock.now().wall_ms >= at)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

fn check_owner(owner: &str) -> Result<(), Invalid> {
    let message = if owner.is_empty() {
        "is empty: say whose token it is, as a name or an address".to_owned()
    } else if owner.len() > LONGEST_OWNER {
        format!("has more than {LONGEST_OWNER} bytes")
    } else if owner.chars().any(char::is_control) {
        "holds a character that cannot be seen".to_owned()
    } else if RESERVED.contains(&owner) {
        format!("`{owner}` is what the audit log calls somebody else: give a person's name or address")
    } else {
        return Ok(());
    };
    Err(Invalid::new("owner", message))
}

fn expiry(now_ms: u64, span: Duration) -> Result<u64, Invalid> {
    if span.is_zero() || span > LONGEST_LIFE {
        return Err(Invalid::new("expires_in_seconds", "must be more than 0 and at most a hundred years"));
    }
    // It fits: a hundred years are 3 · 10¹² ms.
    Ok(now_ms.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

/// A row as it is kept.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) role: String,
    pub(crate) scope: String,
    pub(crate) created_at_ms: u64,
    pub(crate) expires_at_ms: Option<u64>,
}

impl Row {
    /// The token; none if a role or a scope cannot be read: then it is for nothing.
    pub(crate) fn read(self) -> Option<Token> {
        let Self { id, owner, role, scope, created_at_ms, expires_at_ms } = self;
        let (role, scope) = (Role::from_str(&role).ok()?, scope.parse().ok()?);
        Some(Token { id, owner, role, scope, created_at_ms, expires_at_ms })
    }
}
