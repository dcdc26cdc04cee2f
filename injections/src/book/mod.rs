//! The state of all injections and schedules: a pure machine, without clock, disk or proxy.
//!
//! It works in two steps. A command is *decided*: checked against the state, and answered with the events
//! that it makes (`decide`, `due`). Events are then *recorded* ([`Book::record`]), by which the state
//! changes; so the state is what the journal says, and a restart comes to the same one.
//!
//! | module | what is in it |
//! |---|---|
//! | `decide` | what people ask for |
//! | `due` | what time brings |
//! | `guard` | when a breach has lasted too long |
//! | `planned` | when schedules come |
//! | `restart` | what becomes of those that were running |

mod decide;
mod due;
mod guard;
mod planned;
mod restart;
#[cfg(test)]
mod simulation;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::clock::Moment;
use crate::event::{Actor, Event};
use crate::injection::{Injection, State};
use crate::rules::Rules;
use crate::schedule::Schedule;

pub(crate) use decide::meant;
pub use decide::{Candidate, Draft, Refusal};
pub use guard::Guard;
use guard::{Watch, later};
use planned::Planned;
pub use restart::{Began, OnRestart};

/// An event, when it happened, and who did it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When.
    pub at: Moment,
    /// Who.
    pub actor: Actor,
    /// What.
    pub event: Event,
}

/// Of those that are over so many are remembered; the journal has all.
const REMEMBERED: usize = 1000;

/// The state of all injections and schedules.
#[derive(Debug, Default)]
pub struct Book {
    /// What is allowed.
    pub rules: Rules,
    live: BTreeMap<String, Live>,
    /// Who is or will be next on a proxy.
    running_on: HashMap<String, String>,
    /// When each that is live may change by itself, by the clock that nobody sets.
    due: BTreeSet<(u64, String)>,
    over: VecDeque<Injection>,
    schedules: BTreeMap<String, Planned>,
    /// How many were ever asked for: their order.
    asked: u64,
    /// What the clock on the wall showed when it was looked at.
    wall_ms: u64,
}

/// An injection that is not over.
#[derive(Debug)]
struct Live {
    injection: Injection,
    /// Its place among those that wait.
    order: u64,
    /// When it is over at the latest; times by the clock that nobody sets.
    until: u64,
    lease_until: Option<u64>,
    watches: Vec<Watch>,
}

impl Live {
    fn due(&self) -> u64 {
        let watched = self.watches.iter().filter_map(Watch::due);
        self.lease_until.into_iter().chain(watched).fold(self.until, u64::min)
    }
}

impl Book {
    /// Nothing yet, under these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// An injection, if it is not long over.
    #[must_use]
    pub fn injection(&self, id: &str) -> Option<&Injection> {
        let live = self.live.get(id).map(|live| &live.injection);
        live.or_else(|| self.over.iter().rev().find(|over| over.id == id))
    }

    /// Those that are not over, the oldest first, then those that are, the newest first.
    pub fn injections(&self) -> impl Iterator<Item = &Injection> {
        let mut live: Vec<_> = self.live.values().collect();
        live.sort_by_key(|live| live.order);
        live.into_iter().map(|live| &live.injection).chain(self.over.iter().rev())
    }

    /// Those whose faults are on, or about to be.
    pub fn running(&self) -> impl Iterator<Item = &Injection> {
        self.live.values().map(|live| &live.injection).filter(|it| it.state == State::Running)
    }

    /// All schedules, each with its next time by the clock on the wall.
    pub fn schedules(&self) -> impl Iterator<Item = (&Schedule, Option<u64>)> {
        self.schedules.values().map(|planned| (&planned.schedule, planned.next_ms))
    }

    /// Changes the state by what has happened. What does not fit is passed over: an event about what is
    /// over changes nothing any more.
    pub fn record(&mut self, record: &Record) {
        let Record { at, actor, event } = record;
        match event {
            Event::Requested { id, .. } => {
                if let Some(injection) = requested(record) {
                    let until = later(at.steady_ms, self.rules.patience);
                    self.asked += 1;
                    let (order, watches) = (self.asked, Vec::new());
                    let live = Live { injection, order, until, lease_until: None, watches };
                    self.due.insert((live.due(), id.clone()));
                    self.live.insert(id.clone(), live);
                }
                if let Event::Requested { schedule: Some(name), .. } = event {
                    self.replan(name, *at);
                }
            }
            Event::Approved { id } => self.change(id, |live| {
                live.injection.state = State::Approved;
                live.injection.approved_by = Some(actor.clone());
            }),
            Event::Started { id, duration_ms, steady_ms, .. } => {
                self.change(id, |live| {
                    live.injection.started_at_ms = Some(at.wall_ms);
                    live.runs(at.wall_ms, *steady_ms, *duration_ms);
                });
                self.hold(id);
            }
            Event::Resumed { id, duration_ms, steady_ms, .. } => {
                self.change(id, |live| live.runs(at.wall_ms, *steady_ms, *duration_ms));
                self.hold(id);
            }
            Event::Ended { id, state, reason, breach } => self.end(id, |it| {
                it.state = (*state).into();
                // A server that was down writes it down later than it was, and by a clock that may be set back.
                let last = it.ends_at_ms.unwrap_or(u64::MAX);
                it.ended_at_ms = Some(at.wall_ms.min(last).max(it.started_at_ms.unwrap_or(0)));
                it.ended_by = Some(actor.clone());
                it.reason = Some(reason.clone());
                it.breach.clone_from(breach);
            }),
            Event::Guarded { id, p99_ms } => self.change(id, |live| {
                live.injection.p99_before_ms = Some(*p99_ms);
            }),
            Event::Warned { id, warning } => self.change(id, |live| {
                live.injection.warnings.push(warning.clone());
            }),
            Event::Recovered { id, seconds } => {
                if let Some(it) = self.over.iter_mut().rev().find(|it| it.id == *id) {
                    it.recovered_after_seconds = *seconds;
                }
            }
            Event::ScheduleAdded { schedule } => {
                let name = schedule.name.clone();
                self.schedules.insert(name, Planned::new((**schedule).clone(), *at));
            }
            Event::ScheduleRemoved { name } => drop(self.schedules.remove(name)),
            Event::ScheduleSkipped { name, .. } => self.replan(name, *at),
            Event::Refused { .. }
            | Event::TokenCreated { .. }
            | Event::TokenRevoked { .. }
            | Event::Changed { .. }
            | Event::ServerStarted { .. }
            | Event::ServerStopped {}
            | Event::Reloaded { .. }
            | Event::WebhookFailed { .. } => {}
        }
    }

    /// An approval that could not be kept has not been: it waits for one still.
    pub fn unapprove(&mut self, id: &str, now: Moment) {
        let until = later(now.steady_ms, self.rules.patience);
        self.change(id, |live| {
            let it = &mut live.injection;
            (it.state, it.approved_by) = (State::Pending, None);
            (it.started_at_ms, it.ends_at_ms) = (None, None);
            (live.until, live.lease_until) = (until, None);
        });
        self.running_on.retain(|_, by| by != id);
    }

    /// Has it watched by these as well.
    pub fn guard(&mut self, id: &str, guards: Vec<Guard>, now: Moment) {
        self.change(id, |live| {
            live.watches = guards.into_iter().map(|guard| Watch::new(guard, now.steady_ms)).collect();
        });
    }

    /// A guard has read a value, or could not, and why. What that brings is [`due`](Self::due).
    pub fn read(&mut self, id: &str, guard: usize, value: Result<f64, String>, now: Moment) {
        self.change(id, |live| {
            if let Some(watch) = live.watches.get_mut(guard) {
                watch.read(now.steady_ms, value);
            }
        });
    }

    /// How long an injection may still be on; none if it is not to be on.
    #[must_use]
    pub fn left(&self, id: &str, now: Moment) -> Option<Duration> {
        let live = self.live.get(id).filter(|live| live.injection.state == State::Running)?;
        let left = live.until.checked_sub(now.steady_ms).filter(|left| *left > 0)?;
        Some(Duration::from_millis(left))
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Live)) {
        let Some(live) = self.live.get_mut(id) else { return };
        self.due.remove(&(live.due(), id.to_owned()));
        change(live);
        self.due.insert((live.due(), id.to_owned()));
    }

    fn hold(&mut self, id: &str) {
        let Some(live) = self.live.get(id) else { return };
        for target in &live.injection.targets {
            self.running_on.insert(target.clone(), id.to_owned());
        }
    }

    fn end(&mut self, id: &str, change: impl FnOnce(&mut Injection)) {
        let Some(live) = self.live.remove(id) else { return };
        self.due.remove(&(live.due(), id.to_owned()));
        let mut injection = live.injection;
        for target in &injection.targets {
            if self.running_on.get(target).is_some_and(|by| by == id) {
                self.running_on.remove(target);
            }
        }
        change(&mut injection);
        if self.over.len() >= REMEMBERED {
            self.over.pop_front();
        }
        self.over.push_back(injection);
    }
}

impl Live {
    fn runs(&mut self, wall_ms: u64, steady_ms: u64, duration_ms: u64) {
        let lease = self.injection.request.lease();
        self.injection.state = State::Running;
        self.injection.ends_at_ms = Some(wall_ms.saturating_add(duration_ms));
        self.until = steady_ms.saturating_add(duration_ms);
        self.lease_until = lease.map(|lease| later(steady_ms, lease));
    }
}

/// An injection as it was asked for.
fn requested(record: &Record) -> Option<Injection> {
    let Event::Requested { id, request, targets, matched, seed, needs_approval, schedule, indicator, scope } =
        &record.event
    else {
        return None;
    };
    Some(Injection {
        id: id.clone(),
        state: if needs_approval.is_some() { State::Pending } else { State::Approved },
        request: (**request).clone(),
        requested_by: record.actor.clone(),
        requested_at_ms: record.at.wall_ms,
        targets: targets.clone(),
        matched: *matched,
        seed: *seed,
        schedule: schedule.clone(),
        indicator: indicator.clone(),
        needs_approval: needs_approval.clone(),
        approved_by: None,
        started_at_ms: None,
        ends_at_ms: None,
        ended_at_ms: None,
        ended_by: None,
        reason: None,
        breach: None,
        recovered_after_seconds: None,
        p99_before_ms: None,
        warnings: Vec::new(),
        scope: scope.clone(),
    })
}
