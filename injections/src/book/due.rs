//! What time brings: ends, breaches, places that come free, windows, schedules.

use super::decide::{ended, started};
use super::{Book, Live, Watch};
use crate::clock::Moment;
use crate::event::Event;
use crate::injection::{Ending, State};
use crate::rules::moment;

impl Book {
    /// The events that it is time for. Asked again after they were recorded, it may have more: whose place
    /// has come free starts only then.
    #[must_use]
    pub fn due(&self, now: Moment, boot: &str) -> Vec<Event> {
        let passed = self.due.iter().take_while(|(at, _)| *at <= now.steady_ms);
        let mut events: Vec<_> = passed.filter_map(|(_, id)| over(self.live.get(id)?, now)).collect();
        if let Some(window) = self.rules.closed(now.wall_ms) {
            let ends = |id: &str| events.iter().any(|event| event.subject() == Some(id));
            let running = self.running().filter(|it| !ends(&it.id));
            let closed: Vec<_> = running.map(|it| shut(&it.id, window)).collect();
            events.extend(closed);
        }
        if !events.is_empty() {
            return events;
        }
        self.next_in_line(now, boot).into_iter().collect()
    }

    /// In how many milliseconds something may be due; none if nothing is. Times by the clock on the wall
    /// are as far away as they look now: who waits for them looks again now and then.
    #[must_use]
    pub fn next_due(&self, now: Moment) -> Option<u64> {
        let live = self.due.first().map(|(at, _)| at.saturating_sub(now.steady_ms));
        let schedules = self.schedules.values().filter_map(|it| it.next_ms);
        let turn = if self.live.is_empty() { None } else { self.rules.turn(now.wall_ms) };
        let by_wall = schedules.chain(turn).min().map(|at| at.saturating_sub(now.wall_ms));
        live.into_iter().chain(by_wall).min()
    }

    /// The first of those that wait whose way is clear.
    fn next_in_line(&self, now: Moment, boot: &str) -> Option<Event> {
        let mut waiting: Vec<_> =
            self.live.values().filter(|live| live.injection.state == State::Approved).collect();
        waiting.sort_by_key(|live| live.order);
        let clear = |live: &&&Live| self.obstacle(&live.injection.targets, Some(live.order), now).is_none();
        let next = waiting.iter().find(clear)?;
        Some(started(&next.injection.id, &next.injection.request, now, boot))
    }
}

/// How it ends in a window, of which there is the reason and the end.
pub(super) fn shut(id: &str, (reason, until_ms): (&str, u64)) -> Event {
    ended(id, Ending::Aborted, format!("nothing may run now ({reason}), until {}", moment(until_ms)))
}

/// How it ends now, if it does.
fn over(live: &Live, now: Moment) -> Option<Event> {
    let id = &live.injection.id;
    let is_up = |at: u64| at <= now.steady_ms;
    match live.injection.state {
        State::Running if is_up(live.until) => {
            Some(ended(id, Ending::Completed, "its time was up".to_owned()))
        }
        State::Running if live.lease_until.is_some_and(is_up) => {
            Some(ended(id, Ending::Aborted, "its lease was not renewed".to_owned()))
        }
        State::Running => {
            let (reason, breach) =
                live.watches.iter().find_map(|watch: &Watch| watch.breach(now.steady_ms))?;
            let (id, breach) = (id.clone(), Some(breach));
            Some(Event::Ended { id, state: Ending::Aborted, reason, breach })
        }
        State::Pending if is_up(live.until) => {
            Some(ended(id, Ending::Failed, "nobody approved it in time".to_owned()))
        }
        State::Approved if is_up(live.until) => {
            Some(ended(id, Ending::Failed, "its turn did not come in time".to_owned()))
        }
        _ => None,
    }
}
