//! What time brings, and what proxies tell.

use std::sync::Weak;
use std::time::Duration;

use sabot_proxy::{Lost, Why};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Engine, Inner};
use crate::event::{Actor, Event};
use crate::injection::Ending;

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
