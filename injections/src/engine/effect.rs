//! Events into effect.
//!
//! What lets a fault come on is kept before it does; what takes it off takes it off first. Between the
//! decision and the journal an injection is running already as far as others are concerned, so that two
//! cannot be decided at one time; if it cannot be kept it has failed.

use std::sync::{Arc, PoisonError};

use sabot_proxy::ControlError;
use sabot_toxics::Invalid;
use sabot_toxics::units::Span;

use super::{Change, Engine, EngineError, Inner, Kept};
use crate::book::{Book, Record, Refusal};
use crate::clock::Moment;
use crate::event::{Actor, Event};
use crate::injection::{Ending, State};

impl Engine {
    /// Decides, keeps and does. What is decided is done to its end, also if nobody waits for it.
    pub(super) async fn commit(
        &self,
        actor: &Actor,
        decide: impl FnOnce(&mut Book, Moment) -> Result<Vec<Event>, EngineError>,
    ) -> Result<(), EngineError> {
        let records = {
            let mut book = self.inner.book();
            let now = self.inner.clock.now();
            let events = decide(&mut book, now)?;
            if let Kept::Broken(unread) = &self.inner.journal
                && !events.is_empty()
            {
                return Err(EngineError::Unjournalled(unread.reason.clone()));
            }
            let record = |event| Record { at: now, actor: actor.clone(), event };
            let records: Vec<_> = events.into_iter().map(record).collect();
            self.inner.remember(&mut book, &records);
            records
        };
        let engine = self.clone();
        let done = tokio::spawn(async move { engine.put_into_effect(records).await });
        done.await.unwrap_or_else(|error| Err(EngineError::NotApplied(error.to_string())))
    }

    /// The second half: what was decided and remembered is kept, and then done.
    pub(super) async fn put_into_effect(&self, records: Vec<Record>) -> Result<(), EngineError> {
        let Kept::Open { writer, .. } = &self.inner.journal else { return Ok(()) };
        if records.is_empty() {
            return Ok(());
        }
        let (happened, begins) = records.into_iter().partition::<Vec<_>, _>(|it| has_happened(&it.event));
        if !happened.is_empty() {
            writer.kept(happened).await.map_err(|error| EngineError::NotYetJournalled(error.to_string()))?;
        }
        let begins = self.unless_revoked(begins).await;
        if begins.is_empty() {
            return Ok(());
        }
        if let Err(error) = writer.before(begins.clone()).await {
            self.undo(&begins, &error.to_string());
            return Err(EngineError::Unjournalled(error.to_string()));
        }
        let started = begins.iter().filter_map(|record| match &record.event {
            event @ (Event::Started { id, .. } | Event::Resumed { id, .. }) => Some((id.as_str(), event)),
            _ => None,
        });
        started.map(|(id, event)| self.put_on(id, event)).fold(Ok(()), Result::and)
    }

    /// What begins, without what waited so long that whoever asked for it may do so no more.
    async fn unless_revoked(&self, mut begins: Vec<Record>) -> Vec<Record> {
        let asks = |record: &Record| matches!(record.event, Event::Requested { .. } | Event::Resumed { .. });
        let new: Vec<_> = begins.iter().filter(|it| asks(it)).filter_map(|it| it.event.subject()).collect();
        let waited = begins.iter().filter(|it| matches!(it.event, Event::Started { .. }));
        let waited = waited.filter_map(|it| it.event.subject()).filter(|id| !new.contains(id));
        for id in waited.map(str::to_owned).collect::<Vec<_>>() {
            let Ok(injection) = self.known(&id) else { continue };
            let Err(reason) = self.may_still(&injection.requested_by.who, &injection.scope).await else {
                continue;
            };
            begins.retain(|it| it.event.subject() != Some(&id));
            let records = {
                let mut book = self.inner.book();
                let events = book.fail(&id, Ending::Failed, reason);
                self.inner.happened(&mut book, &Actor::server(), events)
            };
            self.keep(records);
        }
        begins
    }

    /// Puts the fault on, by what is journalled now, if it is still to be on.
    fn put_on(&self, id: &str, event: &Event) -> Result<(), EngineError> {
        let mut book = self.inner.book();
        let now = self.inner.clock.now();
        let Some(left) = book.left(id, now) else { return Ok(()) };
        let Some(injection) = book.injection(id).cloned() else { return Ok(()) };
        let meant = book.is_still_meant(&injection, &self.candidates());
        let begins = matches!(event, Event::Started { .. });
        let meant = meant.and_then(|()| if begins { book.fits(&injection.request) } else { Ok(()) });
        let meant = meant.and_then(|()| self.settings().still_guards(&injection)).map_err(ControlError::from);
        let spec = || injection.request.fault.spec().map_err(ControlError::from);
        let outcome = meant.and_then(|()| spec()).and_then(|mut spec| {
            spec.name = id.to_owned();
            // The proxy takes it off by itself, should nobody else be left to do so.
            spec.when.expires_after = Some(Span(left));
            // Before it is: what comes from now on says nothing of what is usual.
            self.inner.views.hit(&injection.targets);
            let inject = |target: &String| self.inner.controller.inject(target, id, spec.clone()).map(drop);
            injection.targets.iter().try_for_each(inject)
        });
        match outcome {
            Ok(()) => {
                self.inner.tell(&book, event);
                drop(book);
                self.inner.sooner.notify_one();
                self.watch(injection);
                Ok(())
            }
            Err(error) => {
                let events = book.fail(id, Ending::Failed, format!("the fault could not be put on: {error}"));
                let records = self.inner.happened(&mut book, &Actor::server(), events);
                self.keep(records);
                Err(EngineError::NotApplied(error.to_string()))
            }
        }
    }

    /// What could not be kept has not been.
    fn undo(&self, records: &[Record], reason: &str) {
        let mut book = self.inner.book();
        let approved = records.iter().filter_map(|record| match &record.event {
            Event::Approved { id } => Some(id.clone()),
            _ => None,
        });
        let approved: Vec<_> = approved.collect();
        for record in records {
            let events = match &record.event {
                // It waits for a second person still.
                Event::Approved { id } => {
                    book.unapprove(id, self.inner.clock.now());
                    Vec::new()
                }
                Event::Started { id, .. } if approved.contains(id) => Vec::new(),
                Event::Requested { id, .. } | Event::Started { id, .. } | Event::Resumed { id, .. } => {
                    book.fail(id, Ending::Failed, format!("it could not be journalled: {reason}"))
                }
                Event::ScheduleAdded { schedule } => {
                    vec![Event::ScheduleRemoved { name: schedule.name.clone() }]
                }
                _ => Vec::new(),
            };
            let records = self.inner.happened(&mut book, &Actor::server(), events);
            // One that the journal does not know needs no end there.
            if !matches!(record.event, Event::Requested { .. } | Event::ScheduleAdded { .. }) {
                self.keep(records);
            }
        }
    }

    /// Has what has happened kept, without waiting for it.
    pub(super) fn keep(&self, records: Vec<Record>) {
        if let Kept::Open { writer, .. } = &self.inner.journal
            && !records.is_empty()
        {
            writer.after(records);
        }
    }
}

impl Inner {
    /// Remembers what has happened, and tells it.
    pub(super) fn happened(&self, book: &mut Book, actor: &Actor, events: Vec<Event>) -> Vec<Record> {
        let at = self.clock.now();
        let records: Vec<_> =
            events.into_iter().map(|event| Record { at, actor: actor.clone(), event }).collect();
        self.remember(book, &records);
        records
    }

    /// Remembers it, takes off what ends by it, and tells it.
    pub(super) fn remember(&self, book: &mut Book, records: &[Record]) {
        for record in records {
            book.record(record);
            if let Event::Ended { id, .. } = &record.event {
                self.take_off(book, id);
            }
            // What begins is told of once it is on.
            if !matches!(record.event, Event::Started { .. } | Event::Resumed { .. }) {
                self.tell(book, &record.event);
            }
        }
        self.sooner.notify_one();
    }

    /// Tells whoever listens, and counts.
    pub(super) fn tell(&self, book: &Book, event: &Event) {
        let injection = event.subject().and_then(|id| book.injection(id));
        if let Some(injection) = injection {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.count(event, injection);
        }
        let (listeners, receivers) = (self.listeners(), self.changes.receiver_count());
        if listeners.is_empty() && receivers == 0 {
            return;
        }
        let change = Arc::new(Change { event: event.clone(), injection: injection.cloned() });
        for untold in listeners.iter().flat_map(|it| it.hear(&change)) {
            self.note(&Actor::server(), untold);
        }
        if receivers > 0 {
            // The last of them may have gone meanwhile.
            let _ = self.changes.send(Change::clone(&change));
        }
    }

    fn take_off(&self, book: &Book, id: &str) {
        let Some(injection) = book.injection(id) else { return };
        for target in &injection.targets {
            // What was never put on, or came off with its proxy, need not come off.
            self.controller.revert(target, id);
        }
        if injection.started_at_ms.is_some() {
            self.views.hit(&injection.targets);
        }
        self.watches.over(id);
        tracing::info!(
            injection = id,
            state = State::as_str(injection.state),
            reason = injection.reason.as_deref().unwrap_or_default(),
            "injection ended"
        );
    }
}

/// Whether an event tells of what is done already; all others are kept before they are done.
pub(super) fn has_happened(event: &Event) -> bool {
    matches!(
        event,
        Event::Ended { .. }
            | Event::Recovered { .. }
            | Event::Guarded { .. }
            | Event::Warned { .. }
            | Event::ScheduleRemoved { .. }
            | Event::ScheduleSkipped { .. }
            | Event::ServerStarted { .. }
    )
}

/// What a proxy says of a fault that it cannot have.
pub(super) fn misfit(target: &str, error: &ControlError) -> Refusal {
    match error {
        ControlError::Invalid(Invalid { field, message }) => {
            let field = field.strip_prefix("attributes.").unwrap_or(field);
            Invalid::new(format!("fault.{field}"), format!("{message} (on {target})")).into()
        }
        other => Invalid::new("target", format!("{target} cannot be hit: {other}")).into(),
    }
}
