//! When schedules come.

use super::Book;
use crate::clock::Moment;
use crate::event::Event;
use crate::schedule::Schedule;

/// That a schedule is left out for the same reason is told so often, in milliseconds: otherwise one that comes
/// every second would fill the journal.
const TOLD_EVERY_MS: u64 = 60_000;

/// A schedule and its next time, by the clock on the wall.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) schedule: Schedule,
    pub(super) next_ms: Option<u64>,
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

    /// Finds the next time of a schedule.
    pub(crate) fn replan(&mut self, name: &str, now: Moment) {
        if let Some(planned) = self.schedules.get_mut(name) {
            planned.next_ms = planned.schedule.when.next_after(now.wall_ms);
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
        Self { schedule, next_ms, left_out: None }
    }

    /// No time is further away than the next one from now on.
    pub(super) fn unless_too_far(&mut self, now: Moment) {
        let next = self.schedule.when.next_after(now.wall_ms);
        if self.next_ms > next && next.is_some() {
            self.next_ms = next;
        }
    }
}
