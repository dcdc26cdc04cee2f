//! What comes again: schedules, and their times.

use super::{Asked, Engine, EngineError, effect};
use crate::access::Access;
use crate::book::{Refusal, meant};
use crate::event::Actor;
use crate::request::{Request, Selector};
use crate::schedule::{Recurrence, Schedule};

impl Engine {
    /// Adds a schedule; why its injections would be left out as the proxies are now, if so.
    ///
    /// # Errors
    /// There is one of this name, or its injections could never run.
    pub async fn add_schedule(
        &self,
        name: String,
        when: Recurrence,
        asked: Asked,
    ) -> Result<Option<String>, EngineError> {
        let Asked { request, actor, scope } = asked;
        request.check()?;
        self.settings().knows(&request).map_err(|error| error.within("injection"))?;
        let warning = self.misses(&request)?;
        let schedule = Schedule { name, when, injection: request, by: actor.clone(), scope };
        self.commit(&actor, |book, now| Ok(book.add_schedule(schedule, now)?)).await?;
        Ok(warning)
    }

    /// Why what comes later would miss the proxies that there are now: others may come until then, and those that
    /// are there may get labels. A fault that none of those can have which are meant is refused.
    fn misses(&self, request: &Request) -> Result<Option<String>, Refusal> {
        let meant = match meant(request, &self.candidates()) {
            Ok(meant) => meant,
            Err(none) => return Ok(Some(format!("it would be left out now: {none}"))),
        };
        let spec = request.fault.spec().map_err(|error| error.within("injection.fault"))?;
        let misfit = |target: &String| {
            let error = self.inner.controller.check_fault(target, &spec).err()?;
            Some(effect::misfit(target, &error))
        };
        let misfits: Vec<_> = meant.iter().filter_map(misfit).collect();
        let all = misfits.len() == meant.len();
        match misfits.into_iter().next() {
            Some(Refusal::Invalid(invalid)) if all => Err(invalid.within("injection").into()),
            Some(one) => Ok(Some(format!("it would be left out when such a proxy is drawn: {one}"))),
            None => Ok(None),
        }
    }

    /// From now on schedules inject only for those who have a token to do so.
    pub fn ask_for_tokens(&self, access: Access) {
        // Whoever serves the API twice has the same tokens.
        let _ = self.inner.access.set(access);
    }

    /// Removes a schedule; what it has started goes on.
    ///
    /// # Errors
    /// There is none.
    pub async fn remove_schedule(&self, name: &str, actor: &Actor) -> Result<(), EngineError> {
        self.inner.readable()?;
        self.commit(actor, |book, _| Ok(book.remove_schedule(name)?)).await
    }

    /// All schedules, each with its next time in milliseconds since 1970.
    #[must_use]
    pub fn schedules(&self) -> Vec<(Schedule, Option<u64>)> {
        self.inner.book().schedules().map(|(schedule, next)| (schedule.clone(), next)).collect()
    }

    /// The time of a schedule has come.
    pub(super) fn fire(&self, name: &str) {
        let schedule = {
            let mut book = self.inner.book();
            // Its next time is found now, whatever comes of this one, so that it is not fired twice.
            book.replan(name, self.inner.clock.now());
            book.schedule(name).cloned()
        };
        let Some(schedule) = schedule else { return };
        let engine = self.clone();
        tokio::spawn(async move {
            let left_out = |reason: String| {
                let records = {
                    let mut book = engine.inner.book();
                    let events = book.skip(&schedule.name, reason, engine.inner.clock.now());
                    engine.inner.happened(&mut book, &Actor::server(), events)
                };
                if !records.is_empty() {
                    tracing::warn!(schedule = schedule.name, "the time of a schedule was left out");
                }
                engine.keep(records);
            };
            if let Err(reason) = engine.may_still(&schedule.by.who, &schedule.scope).await {
                return left_out(reason);
            }
            let Schedule { name, injection, by, scope, .. } = schedule.clone();
            match engine.ask(Asked { request: injection, actor: by, scope }, Some(name)).await {
                Ok(_) => {}
                Err(EngineError::Unjournalled(reason)) => {
                    tracing::error!(schedule = schedule.name, reason, "a schedule could not be journalled");
                }
                Err(error) => left_out(error.to_string()),
            }
        });
    }

    /// Whether somebody who asked for something once may still do so; else why not.
    pub(super) async fn may_still(&self, who: &str, scope: &Selector) -> Result<(), String> {
        let Some(access) = self.inner.access.get().cloned() else { return Ok(()) };
        let (owner, scope) = (who.to_owned(), scope.clone());
        let may = tokio::task::spawn_blocking(move || access.may_operate(&owner, &scope)).await;
        match may {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                Err(format!("{who} has no token any more that is good for it: have somebody else ask for it"))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}
