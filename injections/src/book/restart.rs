//! What becomes of injections that were running when the server died.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::decide::ended;
use super::due::shut;
use super::{Book, Record, later};
use crate::clock::Moment;
use crate::event::Event;
use crate::injection::{Ending, State};

/// What is done with an injection whose time is not up yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRestart {
    /// It goes on for what is left of its time.
    #[default]
    Resume,
    /// It is over, and so is what waited for its turn.
    Clear,
}

impl FromStr for OnRestart {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "resume" => Ok(Self::Resume),
            "clear" => Ok(Self::Clear),
            _ => Err(format!("`{name}` is not known; known are resume and clear")),
        }
    }
}

impl fmt::Display for OnRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resume => "resume",
            Self::Clear => "clear",
        })
    }
}

/// When an injection began or was resumed, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Began {
    /// When, by both clocks.
    pub at: Moment,
    /// What the steady one counted from.
    pub boot: String,
    /// For how long.
    pub duration_ms: u64,
}

impl Began {
    /// From an event, if it is such a beginning, and whose.
    #[must_use]
    pub fn of(record: &Record) -> Option<(String, Self)> {
        match &record.event {
            Event::Started { id, duration_ms, steady_ms, boot }
            | Event::Resumed { id, duration_ms, steady_ms, boot } => {
                let at = Moment { wall_ms: record.at.wall_ms, steady_ms: *steady_ms };
                Some((id.clone(), Self { at, boot: boot.clone(), duration_ms: *duration_ms }))
            }
            _ => None,
        }
    }

    /// What is left of its time. The clock on the wall may have jumped, so what it says counts only where
    /// there is no other; and if it was certainly set back, before `newest_ms`, nothing is left.
    fn left(&self, now: Moment, boot: &str, newest_ms: u64) -> u64 {
        let passed = if !boot.is_empty() && boot == self.boot {
            now.steady_ms.checked_sub(self.at.steady_ms)
        } else {
            now.wall_ms.checked_sub(self.at.wall_ms).filter(|_| now.wall_ms >= newest_ms)
        };
        passed.map_or(0, |passed| self.duration_ms.saturating_sub(passed))
    }
}

impl Book {
    /// What the journal says has to go on or to end, after all of it was recorded; `began` has the last
    /// beginning of each injection, and the newest event was at `newest_ms` by the clock on the wall.
    pub fn restart(
        &mut self,
        began: &HashMap<String, Began>,
        newest_ms: u64,
        policy: OnRestart,
        now: Moment,
        boot: &str,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        let running: Vec<_> = self.running().map(|it| it.id.clone()).collect();
        let window = self.rules.closed(now.wall_ms);
        for id in running {
            let left = began.get(&id).map_or(0, |it| it.left(now, boot, newest_ms));
            events.push(match (left, policy, window) {
                (0, ..) => {
                    ended(&id, Ending::Completed, "its time was up while the server was down".to_owned())
                }
                (_, OnRestart::Clear, _) => ended(
                    &id,
                    Ending::Reverted,
                    "the server was restarted with --on-restart clear".to_owned(),
                ),
                // It would come on for a moment, and be told of as if it belonged there.
                (_, OnRestart::Resume, Some(window)) => shut(&id, window),
                (duration_ms, OnRestart::Resume, None) => {
                    let (steady_ms, boot) = (now.steady_ms, boot.to_owned());
                    Event::Resumed { id, duration_ms, steady_ms, boot }
                }
            });
        }
        self.schedules.values_mut().for_each(|planned| planned.unless_too_far(now));
        // A time that passed while nobody was there is left out: hours later nobody would expect it.
        for name in self.due_schedules(now) {
            let reason = "its time came while the server was down".to_owned();
            events.push(Event::ScheduleSkipped { name, reason });
        }
        // Those that wait do so by a clock that may be another one now.
        let patience = self.rules.patience;
        let waiting = self.live.values().map(|live| &live.injection).filter(|it| it.state != State::Running);
        for (id, state) in waiting.map(|it| (it.id.clone(), it.state)).collect::<Vec<_>>() {
            // It would take the place of what was cleared; what a person has yet to approve may wait for that.
            if (state, policy) == (State::Approved, OnRestart::Clear) {
                let reason = "the server was restarted with --on-restart clear before its turn came";
                events.push(ended(&id, Ending::Reverted, reason.to_owned()));
                continue;
            }
            self.change(&id, |live| {
                let asked = live.injection.requested_at_ms;
                let waited = now.wall_ms.saturating_sub(asked);
                live.until = later(now.steady_ms, patience).saturating_sub(waited).max(now.steady_ms);
            });
        }
        events
    }
}
