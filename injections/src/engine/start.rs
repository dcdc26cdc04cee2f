//! What the journal says is to go on.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use sabot_proxy::{Controller, Lost};
use tokio::sync::{Notify, Semaphore, broadcast, mpsc};
use tokio::time::MissedTickBehavior;

use super::effect::has_happened;
use super::{CHANGES, Engine, Inner, Kept, Settings, Tally, Unread, Views, Watches, run, watch};
use crate::book::{Began, Book, OnRestart, Record};
use crate::clock::{Clock, Machine};
use crate::event::{Actor, Event};
use crate::injection::Ending;
use crate::journal::{Cause, Ended, Journal, JournalError, Writer};

/// How often proxies are looked at.
const EVERY: Duration = Duration::from_secs(1);

impl Engine {
    /// Starts it over these proxies, which have to be there already: what the journal of `directory` says is
    /// running goes on, or is over, by `on_restart`. Without a directory nothing outlasts the process. If the
    /// journal cannot be used the proxies run, and nothing is injected.
    ///
    /// To be called within a tokio runtime.
    pub async fn start(
        controller: Controller,
        settings: Settings,
        directory: Option<&Path>,
        on_restart: OnRestart,
    ) -> Self {
        Self::open(controller, settings, directory, on_restart).start().await
    }

    /// The same, not started yet: whoever listens to it now misses nothing of what goes on.
    pub fn open(
        controller: Controller,
        settings: Settings,
        directory: Option<&Path>,
        on_restart: OnRestart,
    ) -> Unstarted {
        Self::open_with(controller, settings, directory, on_restart, Arc::new(Machine))
    }

    pub(super) fn open_with(
        controller: Controller,
        settings: Settings,
        directory: Option<&Path>,
        on_restart: OnRestart,
        clock: Arc<dyn Clock>,
    ) -> Unstarted {
        let boot = clock.boot();
        let opened = open(directory, settings.rules.clone()).unwrap_or_else(|reason| {
            tracing::error!(reason, "nothing is injected");
            let book = Book::new(settings.rules.clone());
            let (began, ended) = (HashMap::new(), Ended::default());
            let directory = directory.map(Path::to_owned);
            let kept = Kept::Broken(Unread { reason, directory });
            Opened { kept, book, began, newest_ms: 0, ended }
        });
        let Opened { kept, mut book, began, newest_ms, ended } = opened;
        let Ended { mut injections, schedules, halted } = ended;
        let mut why = "it had ended before the server died, which could not be journalled then".to_owned();
        if let Some(who) = halted {
            let live = book.injections().take_while(|it| !it.state.is_over());
            injections = live.map(|it| it.id.clone()).collect();
            why = format!("halted by {who} while the journal could not be read");
        }
        let over = injections.iter().flat_map(|id| book.fail(id, Ending::Reverted, why.as_str()));
        let mut over = over.collect::<Vec<_>>();
        over.extend(schedules.iter().flat_map(|name| book.remove_schedule(name).unwrap_or_default()));
        let mut events = book.restart(&began, newest_ms, on_restart, clock.now(), &boot);
        let is_over = |it: &str| injections.iter().chain(&schedules).any(|over| over == it);
        events.retain(|event| !event.subject().is_some_and(is_over));
        let (tell, lost) = mpsc::unbounded_channel();
        controller.on_lost(move |one| drop(tell.send(one)));
        let engine = Self {
            inner: Arc::new(Inner {
                controller,
                clock,
                boot,
                settings: Mutex::new(Arc::new(settings)),
                book: Mutex::new(book),
                journal: kept,
                changes: broadcast::Sender::new(CHANGES),
                listeners: Mutex::default(),
                tally: Mutex::new(Tally::default()),
                sooner: Notify::new(),
                views: Views::default(),
                watches: Watches::default(),
                recoveries: Semaphore::new(watch::RECOVERIES),
                access: OnceLock::new(),
            }),
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let started = Event::ServerStarted { version, on_restart: on_restart.to_string() };
        Unstarted { engine, events: [vec![started], over, events].concat(), lost }
    }

    /// What is over at once; then what goes on, each by itself: one that cannot ends none of the others.
    async fn go_on(&self, events: Vec<Event>) {
        let (over, go_on) = events.into_iter().partition::<Vec<_>, _>(has_happened);
        for events in std::iter::once(over).chain(go_on.into_iter().map(|event| vec![event])) {
            let records = {
                let mut book = self.inner.book();
                self.inner.happened(&mut book, &Actor::server(), events)
            };
            if let Err(error) = self.put_into_effect(records).await {
                tracing::error!(%error, "an injection does not go on");
            }
        }
    }
}

/// An engine whose injections do not go on yet.
pub struct Unstarted {
    /// It can be listened to already.
    pub engine: Engine,
    events: Vec<Event>,
    lost: mpsc::UnboundedReceiver<Lost>,
}

impl Unstarted {
    /// Has what was running go on, or end.
    pub async fn start(self) -> Engine {
        let Self { engine, events, lost } = self;
        engine.warn_of_idle_limits();
        engine.go_on(events).await;
        tokio::spawn(run::run(Arc::downgrade(&engine.inner), lost));
        tokio::spawn(look(Arc::downgrade(&engine.inner)));
        engine
    }
}

struct Opened {
    kept: Kept,
    book: Book,
    /// The last beginning of each that is not over.
    began: HashMap<String, Began>,
    newest_ms: u64,
    /// What the journal does not know to be over.
    ended: Ended,
}

/// What is wrong with a journal, and what to do. Whoever only wants for space must not be told to move it away.
fn told(error: &JournalError) -> String {
    let remedy = match error {
        JournalError::Newer { .. } => return error.to_string(),
        JournalError::Unusable { cause: Cause::Full, .. } => "free some space, then start again",
        JournalError::Unusable { cause: Cause::Forbidden, .. } => {
            "give this user the right to read and write there, then start again"
        }
        JournalError::Unusable { cause: Cause::System, .. } => "mend that, then start again",
        JournalError::Unusable { cause: Cause::Damaged, .. } | JournalError::Broken { .. } => {
            "mend that, or move journal.sqlite3* and journal.head away and start again to begin a new one, tokens \
             included"
        }
    };
    format!("{error}; {remedy}")
}

/// Opens the journal, and plays it.
fn open(directory: Option<&Path>, rules: crate::rules::Rules) -> Result<Opened, String> {
    let journal = Journal::open(directory).map_err(|error| told(&error))?;
    let mut book = Book::new(rules);
    let (mut began, mut newest_ms) = (HashMap::new(), 0);
    let each = |stored: crate::journal::Stored| {
        newest_ms = newest_ms.max(stored.at_ms);
        let record: Record = stored.into_record();
        book.record(&record);
        match &record.event {
            Event::Ended { id, .. } => drop(began.remove(id)),
            _ => began.extend(Began::of(&record)),
        }
    };
    journal.replay(each).map_err(|error| told(&error))?;
    let ended = journal.ended();
    let (writer, reader) = journal.split().map_err(|error| told(&error))?;
    let (writer, _) = Writer::start(writer).map_err(|error| error.to_string())?;
    let verifier = match directory {
        Some(_) => Arc::new(Mutex::new(Journal::open(directory).map_err(|error| told(&error))?)),
        None => Arc::clone(&reader),
    };
    Ok(Opened {
        kept: Kept::Open { writer, reader, verifier, verifying: Mutex::default() },
        book,
        began,
        newest_ms,
        ended,
    })
}

/// Looks at the counters of all proxies, until the engine is gone.
async fn look(engine: std::sync::Weak<Inner>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = engine.upgrade() else { return };
        inner.look(&inner.controller.totals());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_damaged_journal_is_to_be_moved_away() {
        for (cause, remedy) in [
            (Cause::Full, "; free some space, then start again"),
            (Cause::Forbidden, "; give this user the right to read and write there, then start again"),
            (Cause::System, "; mend that, then start again"),
            (Cause::Damaged, "begin a new one, tokens included"),
        ] {
            let told = told(&JournalError::Unusable { file: "j".to_owned(), reason: "r".to_owned(), cause });
            assert!(told.starts_with("the journal j cannot be used: r;") && told.ends_with(remedy), "{told}");
            assert_eq!(told.contains("away"), cause == Cause::Damaged, "{told}");
        }
    }
}
