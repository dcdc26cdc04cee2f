//! The journal, as the engine writes and reads it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::unread::Unread;
use super::{Engine, EngineError, Inner};
use crate::book::Record;
use crate::event::{Actor, Event};
use crate::journal::{Filter, Journal, Stored, Verified, Writer};

/// The journal: to write, and to read.
pub(super) enum Kept {
    Open {
        writer: Writer,
        reader: Arc<Mutex<Journal>>,
        /// A handle of its own where there is a file, since it reads all of it.
        verifier: Arc<Mutex<Journal>>,
        /// Held by who verifies.
        verifying: Mutex<()>,
    },
    /// Nothing is injected.
    Broken(Unread),
}

impl Engine {
    /// Notes something that has happened elsewhere.
    pub fn note(&self, actor: &Actor, event: Event) {
        self.inner.note(actor, event);
    }

    /// Notes that the server stops, and waits until all that has happened is kept, if it can be.
    pub async fn stop(&self) {
        let record =
            Record { at: self.inner.clock.now(), actor: Actor::server(), event: Event::ServerStopped {} };
        if let Kept::Open { writer, .. } = &self.inner.journal
            && let Err(error) = writer.kept(vec![record]).await
        {
            tracing::error!(%error, "events are missing from the journal");
        }
    }

    /// What happened.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn audit(&self, filter: &Filter) -> Result<Vec<Stored>, EngineError> {
        Ok(self.inner.reader()?.query(filter)?)
    }

    /// Whether the journal is as it was written. Takes its time: one at a time, and nobody else waits for it.
    ///
    /// # Errors
    /// It is not, cannot be read, or somebody else verifies it now.
    pub fn verify(&self) -> Result<Verified, EngineError> {
        match &self.inner.journal {
            Kept::Open { verifier, verifying, .. } => {
                let _verifying = match verifying.try_lock() {
                    Err(TryLockError::WouldBlock) => return Err(EngineError::Verifying),
                    one => one,
                };
                Ok(verifier.lock().unwrap_or_else(PoisonError::into_inner).verify()?)
            }
            Kept::Broken(unread) => Err(EngineError::NoJournal(unread.reason.clone())),
        }
    }

    /// How many events were journalled since the start.
    #[must_use]
    pub fn journalled(&self) -> u64 {
        match &self.inner.journal {
            Kept::Open { writer, .. } => writer.written(),
            Kept::Broken(_) => 0,
        }
    }

    /// What keeps the journal from being written now; nothing is injected then.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match &self.inner.journal {
            Kept::Open { writer, .. } => writer.trouble(),
            Kept::Broken(unread) => Some(unread.reason.clone()),
        }
    }
}

impl Inner {
    pub(super) fn note(&self, actor: &Actor, event: Event) {
        let record = Record { at: self.clock.now(), actor: actor.clone(), event };
        if let Kept::Open { writer, .. } = &self.journal {
            writer.after(vec![record]);
        }
    }

    pub(super) fn reader(&self) -> Result<MutexGuard<'_, Journal>, EngineError> {
        match &self.journal {
            Kept::Open { reader, .. } => Ok(reader.lock().unwrap_or_else(PoisonError::into_inner)),
            Kept::Broken(unread) => Err(EngineError::NoJournal(unread.reason.clone())),
        }
    }
}
