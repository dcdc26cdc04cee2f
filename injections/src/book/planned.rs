//! When schedules come.

use super::Book;
use crate::clock::Moment;
use crate::event::Event;
use crate::schedule::Schedule;

/// That a schedule is left out for the same reason is told so often, in milliseconds: otherwise one that comes
/// every second would fill the journal.
const TOLD_EVERY_MS: u64 = 60_000;

/// A clock that is set back by more was wrong before, in milliseconds: what came by it is forgotten, or nothing
/// would come for as long.
const WRONG_MS: u64 = 3_600_000;

/// A schedule and its next time, by the clock on the wall.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) schedule: Schedule,
    pub(super) next_ms: Option<u64>,
    /// When it came last, by the same clock.
    came_ms: Option<u64>,
    /// Why it was left out the last time that this was told, and when, by the clock that nobody sets.
    left_out: Option<(String, u64)>,
}

impl Book {
    /// A schedule.
    #[must_use]
    pub fn schedule(&self, name: &str) -> Option<&Schedule> {
        self.schedules.get(name).map(|planned| &planned.schedule)
    }

    /// The time of a schedule was left out: what is to be told of that.
    pub fn skip(&mut self, name: &str, reason: String, now: Moment) -> Vec<Event> {
        let Some(planned) = self.schedules.get_mut(name) else { return Vec::new() };
        let told = planned
            .left_out
            .as_ref()
            .is_some_and(|(last, at)| *last == reason && now.steady_ms.saturating_sub(*at) < TOLD_EVERY_MS);
        if told {
            return Vec::new();
        }
        planned.left_out = Some((reason.clone(), now.steady_ms));
        vec![Event::ScheduleSkipped { name: name.to_owned(), reason }]
    }

    /// Looks at the clock on the wall: if it was set back, what was planned by it lies too far ahead.
    pub fn see_wall(&mut self, now: Moment) {
        if now.wall_ms < self.wall_ms {
            for planned in self.schedules.values_mut() {
                planned.unless_too_far(now);
            }
        }
        self.wall_ms = now.wall_ms;
    }

    /// The time of a schedule has come: finds the next one.
    pub(crate) fn replan(&mut self, name: &str, now: Moment) {
        if let Some(planned) = self.schedules.get_mut(name) {
            planned.next_ms = planned.next(now);
            planned.came_ms = planned.came_ms.max(Some(now.wall_ms));
        }
    }

    /// The schedules whose time has come.
    #[must_use]
    pub fn due_schedules(&self, now: Moment) -> Vec<String> {
        let due = self.schedules.iter().filter(|(_, it)| it.next_ms.is_some_and(|next| next <= now.wall_ms));
        due.map(|(name, _)| name.clone()).collect()
    }
}

impl Planned {
    pub(super) fn new(schedule: Schedule, now: Moment) -> Self {
        let next_ms = schedule.when.next_after(now.wall_ms);
        Self { schedule, next_ms, came_ms: None, left_out: None }
    }

    /// No time is further away than the next one from now on.
    pub(super) fn unless_too_far(&mut self, now: Moment) {
        let next = self.next(now);
        if self.next_ms > next && next.is_some() {
            self.next_ms = next;
        }
    }

    /// The next time from now on. One of the clock that has come does not come again because that was set back.
    fn next(&mut self, now: Moment) -> Option<u64> {
        self.came_ms = self.came_ms.filter(|came| came.saturating_sub(now.wall_ms) <= WRONG_MS);
        let when = &self.schedule.when;
        let came_ms = self.came_ms.filter(|_| when.is_of_the_clock()).unwrap_or(0);
        when.next_after(came_ms.max(now.wall_ms))
    }
}
