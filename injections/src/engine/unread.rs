//! What is answered while the journal cannot be read: what was on before the start is not known then.

use std::path::{Path, PathBuf};

use super::{Engine, EngineError, Inner, Kept};
use crate::event::Actor;
use crate::journal;
use crate::request::Selector;

/// A journal that could not be read at the start.
pub(super) struct Unread {
    /// Why, and what to do.
    pub(super) reason: String,
    /// Where it lies.
    pub(super) directory: Option<PathBuf>,
}

impl Engine {
    /// Whether the journal could not be read at the start, so that nobody knows what was on before.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        matches!(self.inner.journal, Kept::Broken(_))
    }
}

impl Inner {
    /// Refuses what only the journal could answer.
    pub(super) fn readable(&self) -> Result<(), EngineError> {
        let Kept::Broken(unread) = &self.journal else { return Ok(()) };
        Err(unread.refuses("nothing is on now, and what was on before this start is not known"))
    }

    /// Has a halt outlast the journal's trouble. It is told as a failure even if it does: what it ended is not
    /// known.
    pub(super) fn halt_unread(&self, actor: &Actor, scope: &Selector) -> Result<(), EngineError> {
        let Kept::Broken(unread) = &self.journal else { return Ok(()) };
        Err(match unread.note_halt(actor, scope) {
            Ok(()) => unread.refuses(
                "nothing is on now, and what was on before this start is not known; that all of it is over is \
                 noted, so it does not come back",
            ),
            Err(why) => unread.refuses(&format!(
                "nothing is on now, but what was on before this start is not known, nor can be noted that it is \
                 over ({why}): it comes back once the journal can be read, unless the server is started with \
                 --on-restart clear then"
            )),
        })
    }
}

impl Unread {
    fn refuses(&self, told: &str) -> EngineError {
        EngineError::NoJournal(format!("{told}: {}", self.reason))
    }

    fn note_halt(&self, actor: &Actor, scope: &Selector) -> Result<(), String> {
        if !scope.is_empty() {
            return Err("only a halt without a scope can be".to_owned());
        }
        let directory = self.directory.as_deref().unwrap_or(Path::new(""));
        journal::note_halt(directory, &actor.who).map_err(|error| error.to_string())?;
        tracing::warn!(who = actor.who, "halted, though what was on is not known");
        Ok(())
    }
}
