//! What time brings, and what proxies tell.

use std::sync::Weak;
use std::time::Duration;

use sabot_proxy::{Lost, Why};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Asked, Engine, EngineError, Inner};
use crate::event::{Actor, Event};
use crate::injection::Ending;
use crate::request::Selector;
use crate::schedule::Schedule;

/// The clock on the wall may be set, so what goes by it is looked at this often.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until the engine is gone.
pub(super) async fn run(engine: Weak<Inner>, mut lost: UnboundedReceiver<Lost>) {
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let engine_now = Engine { inner };
        engine_now.let_time_pass();
        let wait = engine_now.wait();
        let sooner = std::pin::pin!(engine_now.inner.sooner.notified());
        tokio::select! {
            () = sooner => {}
            () = tokio::time::sleep(wait) => {}
            lost = lost.recv() => match lost {
                Some(lost) => engine_now.has_lost(&lost),
                None => return,
            },
        }
    }
}

impl Engine {
    /// How long nothing is due.
    fn wait(&self) -> Duration {
        let book = self.inner.book();
        let next = book.next_due(self.inner.clock.now());
        next.map_or(LOOK, Duration::from_millis).min(LOOK)
    }

    pub(super) fn let_time_pass(&self) {
        loop {
            let (ended, started) = {
                let mut book = self.inner.book();
                let events = book.due(self.inner.clock.now(), &self.inner.boot);
                if events.is_empty() {
                    break;
                }
                let records = self.inner.happened(&mut book, &Actor::server(), events);
                records.into_iter().partition(|it| matches!(it.event, Event::Ended { .. }))
            };
            self.keep(ended);
            self.in_the_background(started);
        }
        // Not in the loop's head: there the book would be locked throughout.
        let due = {
            let mut book = self.inner.book();
            let now = self.inner.clock.now();
            book.see_wall(now);
            book.due_schedules(now)
        };
        due.iter().for_each(|name| self.fire(name));
    }

    fn in_the_background(&self, records: Vec<crate::book::Record>) {
        if !records.is_empty() {
            let engine = self.clone();
            tokio::spawn(async move {
                if let Err(error) = engine.put_into_effect(records).await {
                    tracing::error!(%error, "an injection whose turn had come did not begin");
                }
            });
        }
    }

    /// The time of a schedule has come.
    fn fire(&self, name: &str) {
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

    /// A proxy has taken a fault off by itself.
    fn has_lost(&self, lost: &Lost) {
        let mut book = self.inner.book();
        let events = if lost.why == Why::Expired {
            book.fail(&lost.injection, Ending::Completed, lost.why.to_string())
        } else {
            book.fail(&lost.injection, Ending::Aborted, format!("{}: {}", lost.why, lost.proxy))
        };
        let records = self.inner.happened(&mut book, &Actor::server(), events);
        drop(book);
        self.keep(records);
    }
}
