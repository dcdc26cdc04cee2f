//! The engine: the book, with a clock, a journal and proxies around it.
//!
//! | module | what is in it |
//! |---|---|
//! | [`Engine`] | what people ask for |
//! | `settings` | what the server is told, and what a request has to keep to by that |
//! | `start` | what the journal says is to go on |
//! | [`EngineError`] | why something was not done |
//! | `schedules` | what comes again |
//! | `effect` | events into effect: kept first, then on; off first, then kept |
//! | `history` | which faults were on at a moment |
//! | `tally` | how many came on and went off |
//! | `kept` | the journal, to write and to read |
//! | `unread` | what is answered while the journal cannot be read |
//! | `run` | what time brings, and what proxies tell |
//! | `watch` | what guards a fault, and whether all recovers after it |
//! | [`view`] | what the proxies themselves see of requests |
//!
//! The book is locked whenever a fault is put on or taken off, so what is on is what is running.

mod effect;
mod error;
mod history;
mod kept;
mod run;
mod schedules;
mod settings;
mod start;
mod tally;
#[cfg(test)]
mod tests;
mod unread;
pub mod view;
mod watch;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use sabot_proxy::{Controller, ProxyTotals};
use tokio::sync::{Notify, Semaphore, broadcast};

use crate::access::Access;
use crate::book::{Book, Candidate, Draft, Refusal};
use crate::clock::{Clock, Moment};
use crate::event::{Actor, Event};
use crate::injection::Injection;
use crate::journal::Filter;
use crate::request::{Labels, Request, Selector};
use crate::rules::Rules;
pub use error::EngineError;
use kept::Kept;
pub use settings::{Indicator, Limits, Settings, Slo};
pub use start::Unstarted;
pub use tally::{FaultEvent, Tally};
use unread::Unread;
use view::Views;
use watch::Watches;

/// A change of an injection, for those who listen.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub event: Event,
    /// The injection as it is now, if it is about one.
    pub injection: Option<Injection>,
}

/// Whom nothing may escape.
pub trait Listener: Send + Sync {
    /// Is told of a change, and says what is to be noted if it could not be passed on. In the order in which they
    /// happen, while nothing else can: it neither waits nor asks the engine anything.
    fn hear(&self, change: &Arc<Change>) -> Vec<Event>;
}

/// So many changes may a receiver be behind.
const CHANGES: usize = 1024;

/// Owner of all injections. Clones are handles of the same one.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    controller: Controller,
    clock: Arc<dyn Clock>,
    boot: String,
    settings: Mutex<Arc<Settings>>,
    book: Mutex<Book>,
    journal: Kept,
    changes: broadcast::Sender<Change>,
    listeners: Mutex<Vec<Weak<dyn Listener>>>,
    tally: Mutex<Tally>,
    /// Something may be due earlier than it was.
    sooner: Notify,
    views: Views,
    watches: Watches,
    /// A place for each recovery that is watched.
    recoveries: Semaphore,
    /// Whom schedules inject for, where there are tokens.
    access: OnceLock<Access>,
}

/// What a halt came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Halted {
    /// What was taken back.
    pub reverted: Vec<String>,
    /// How many go on, or wait, that whoever asked may not touch.
    pub out_of_scope: usize,
}

/// An injection as it is asked for, and by whom.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What.
    pub request: Request,
    /// Who.
    pub actor: Actor,
    /// What they may touch.
    pub scope: Selector,
}

impl Engine {
    /// Asks for an injection. It is on when this returns, unless it waits for its approval or its turn.
    ///
    /// # Errors
    /// It may not be, cannot be journalled, or cannot be put on.
    pub async fn inject(&self, asked: Asked) -> Result<Injection, EngineError> {
        self.ask(asked, None).await
    }

    async fn ask(&self, asked: Asked, schedule: Option<String>) -> Result<Injection, EngineError> {
        let Asked { request, actor, scope } = asked;
        let candidates = self.candidates();
        let id = new_id();
        let settings = self.settings();
        settings.knows(&request)?;
        let (indicator, seed) = (settings.indicator(&request), self.inner.controller.seed());
        let draft = Draft { id: id.clone(), request, scope, schedule, indicator, seed };
        let spec = draft.request.fault.spec().map_err(|error| error.within("fault"))?;
        let inner = &self.inner;
        let decide = |book: &mut Book, now: Moment| -> Result<Vec<Event>, EngineError> {
            let events = book.request(draft, &candidates, now, &inner.boot)?;
            // Before anything is written: what would be refused then has not been asked for.
            if let Some(Event::Requested { targets, .. }) = events.first() {
                for target in targets {
                    let refused = inner.controller.check_fault(target, &spec);
                    refused.map_err(|error| effect::misfit(target, &error))?;
                }
            }
            Ok(events)
        };
        self.commit(&actor, decide).await?;
        self.known(&id)
    }

    /// A second person approves.
    ///
    /// # Errors
    /// There is none that waits for it, it is no second person, or it cannot be journalled or put on.
    pub async fn approve(&self, id: &str, actor: &Actor) -> Result<Injection, EngineError> {
        self.inner.readable()?;
        self.commit(actor, |book, now| Ok(book.approve(id, actor, now, &self.inner.boot)?)).await?;
        self.known(id)
    }

    /// Takes an injection back. The fault is off when this returns, whatever it returns.
    ///
    /// # Errors
    /// There is none, it is over, or it could not be journalled yet.
    pub async fn revert(&self, id: &str, actor: &Actor) -> Result<Injection, EngineError> {
        self.inner.readable()?;
        self.commit(actor, |book, _| Ok(book.revert(id, actor)?)).await?;
        self.known(id)
    }

    /// Takes all of them back that are in a scope.
    ///
    /// # Errors
    /// It could not be journalled yet; it is done. Or the journal cannot be read: then nothing is on, and what
    /// was is not known.
    pub async fn halt(&self, actor: &Actor, scope: &Selector) -> Result<Halted, EngineError> {
        self.inner.halt_unread(actor, scope)?;
        let labels: BTreeMap<_, _> = self.candidates().into_iter().map(|it| (it.name, it.labels)).collect();
        let may = |it: &Injection| {
            it.targets.iter().all(|target| scope.meets(labels.get(target).unwrap_or(&BTreeMap::new())))
        };
        let mut halted = Halted::default();
        let decide = |book: &mut Book, _: Moment| {
            let events = book.halt(actor, may);
            halted.reverted.extend(events.iter().filter_map(Event::subject).map(str::to_owned));
            let live = book.injections().take_while(|it| !it.state.is_over()).count();
            halted.out_of_scope = live - events.len();
            Ok(events)
        };
        self.commit(actor, decide).await?;
        Ok(halted)
    }

    /// The client of an injection is still there.
    ///
    /// # Errors
    /// There is none that runs, or it has no lease.
    pub fn renew(&self, id: &str) -> Result<Injection, EngineError> {
        self.inner.readable()?;
        self.inner.book().renew(id, self.inner.clock.now())?;
        self.known(id)
    }

    /// An injection that is not long over.
    ///
    /// # Errors
    /// There is none that is remembered, or the journal cannot be read.
    pub fn known(&self, id: &str) -> Result<Injection, EngineError> {
        self.inner.readable()?;
        let found = self.inner.book().injection(id).cloned();
        found.ok_or_else(|| Refusal::NotFound { what: "injection", name: id.to_owned() }.into())
    }

    /// An injection, however long it is over. May wait for the disk: not for async code.
    ///
    /// # Errors
    /// There is none, or only the journal has it, which cannot be read.
    pub fn injection(&self, id: &str) -> Result<Injection, EngineError> {
        self.inner.readable()?;
        if let Ok(injection) = self.known(id) {
            return Ok(injection);
        }
        let subject = Some(id.to_owned());
        let events = self.audit(&Filter { subject, ..Filter::default() })?;
        let mut book = Book::new(Rules::default());
        events.into_iter().for_each(|stored| book.record(&stored.into_record()));
        let found = book.injection(id).cloned();
        found.ok_or_else(|| Refusal::NotFound { what: "injection", name: id.to_owned() }.into())
    }

    /// Those that are not over, the oldest first, then the last ones that are, the newest first.
    #[must_use]
    pub fn injections(&self) -> Vec<Injection> {
        self.inner.book().injections().cloned().collect()
    }

    /// Those that are not over.
    #[must_use]
    pub fn live(&self) -> Vec<Injection> {
        self.inner.book().injections().take_while(|it| !it.state.is_over()).cloned().collect()
    }

    /// What happens from now on. A receiver that lags misses some and is told how many.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// Has somebody told of all that happens from now on, for as long as they are there.
    pub fn listen(&self, listener: Weak<dyn Listener>) {
        self.inner.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// How many faults came on and went off since the start.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.inner.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other settings in force. What is running is watched as it was.
    pub fn configure(&self, settings: Settings) {
        self.inner.book().rules = settings.rules.clone();
        *self.inner.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.inner.sooner.notify_one();
        self.warn_of_idle_limits();
    }

    fn warn_of_idle_limits(&self) {
        if let Some(warning) = self.idle_limits() {
            tracing::warn!("{warning}");
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.inner.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why an injection that hits a proxy of these labels takes a second person; none if it does not.
    #[must_use]
    pub fn is_serious(&self, proxy: &str, labels: &Labels) -> Option<String> {
        self.inner.book().rules.approval.reason([(proxy, labels)].into_iter())
    }

    fn candidates(&self) -> Vec<Candidate> {
        let proxies = self.inner.controller.labels();
        proxies.into_iter().map(|(name, labels)| Candidate { name, labels }).collect()
    }
}

/// A name that nothing else has: 60 bits of chance, in letters that are told apart.
fn new_id() -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bits = RandomState::new().build_hasher().finish();
    let letter = |place: u32| char::from(LETTERS[(bits >> (place * 5)) as usize % LETTERS.len()]);
    format!("inj-{}", (0..12).map(letter).collect::<String>())
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who are still there.
    fn listeners(&self) -> Vec<Arc<dyn Listener>> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|it| it.strong_count() > 0);
        listeners.iter().filter_map(Weak::upgrade).collect()
    }

    /// Looks at what all proxies have counted until now.
    fn look(&self, totals: &[ProxyTotals]) {
        // Later than the counters: what goes off meanwhile is told to the views by itself.
        let running_on = self.book().running().flat_map(|it| it.targets.clone()).collect();
        self.views.look(totals, running_on);
    }
}
