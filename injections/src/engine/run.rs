//! What time brings, and what proxies tell.

use std::sync::Weak;
use std::time::Duration;

use sabot_proxy::{Lost, Why};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Asked, Engine, EngineError, Inner};
use crate::event::{Actor, Event};
use crate::injection::Ending;
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

    fn let_time_pass(&self) {
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
        let due = self.inner.book().due_schedules(self.inner.clock.now());
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
        let Some((schedule, _)) = self.schedules().into_iter().find(|(it, _)| it.name == name) else {
            return;
        };
        // Its next time is found now, whatever comes of this one, so that it is not fired twice.
        self.inner.book().replan(name, self.inner.clock.now());
        let engine = self.clone();
        tokio::spawn(async move {
            let left_out = |reason: String| {
                let name = schedule.name.clone();
                tracing::warn!(schedule = name, reason, "the time of a schedule was left out");
                engine.note(&Actor::server(), Event::ScheduleSkipped { name, reason });
            };
            if let Err(reason) = engine.may_inject(&schedule).await {
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

    /// Whether whoever added a schedule may still do what it does.
    async fn may_inject(&self, schedule: &Schedule) -> Result<(), String> {
        let Some(access) = self.inner.access.get().cloned() else { return Ok(()) };
        let (who, scope) = (schedule.by.who.clone(), schedule.scope.clone());
        let may = tokio::task::spawn_blocking(move || access.may_operate(&who, &scope)).await;
        match may {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(format!(
                "{} has no token any more that is good for it: remove it, and have somebody else add it",
                schedule.by.who
            )),
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
