//! What people ask for: checked against the state, and answered with the events that it makes.

use std::collections::BTreeSet;

use sabot_toxics::{Invalid, Seed};

use super::{Book, Live};
use crate::clock::Moment;
use crate::event::{Actor, Event};
use crate::injection::{Ending, Injection, State};
use crate::request::{Labels, Request, Selector, Target};
use crate::rules::moment;
use crate::schedule::Schedule;

/// A proxy that may be a target.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
}

impl Candidate {
    /// Whether it belongs to a service: by its label of that name, or else its own name.
    fn serves(&self, service: &str) -> bool {
        self.labels.get("service").unwrap_or(&self.name) == service
    }
}

/// Who asks for an injection, and with what.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The name that it is going to have.
    pub id: String,
    /// What is asked for.
    pub request: Request,
    /// Which proxies the actor may touch.
    pub scope: Selector,
    /// The schedule that asks.
    pub schedule: Option<String>,
    /// Where the configured indicator comes from that is to guard it, if it is one.
    pub indicator: Option<String>,
    /// The seed of the server, by which targets are drawn.
    pub seed: u64,
}

/// Why something is not done. Nothing was changed then.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A field cannot be what it is.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The actor may not touch a target.
    #[error("{proxy} is outside of what this token may touch ({scope})")]
    OutOfScope {
        /// The target.
        proxy: String,
        /// What it may touch.
        scope: String,
    },
    /// Another one is on a target, or will be next.
    #[error(
        "it overlaps with {id} on {proxy}, which {owner} owns and which {}; wait, or ask with `queue`: true",
        ends(*ends_at_ms)
    )]
    Collides {
        /// The other one.
        id: String,
        /// Its owner.
        owner: String,
        /// When it ends at the latest, in milliseconds since 1970; none if it has not begun.
        ends_at_ms: Option<u64>,
        /// The target that both have.
        proxy: String,
    },
    /// Nothing may run now.
    #[error("nothing may run now ({reason}), until {}; {}", moment(*until_ms), waits(*is_far))]
    Closed {
        /// Why.
        reason: String,
        /// Until when, in milliseconds since 1970.
        until_ms: u64,
        /// Whether nothing waits for so long.
        is_far: bool,
    },
    /// There is no such injection or schedule.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// An injection or a schedule.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// It is not in a state in which that can be done.
    #[error("{id} is {}: {wants}", state.as_str())]
    WrongState {
        /// Which one.
        id: String,
        /// Where it is.
        state: State,
        /// What is possible instead.
        wants: &'static str,
    },
    /// It takes a second person.
    #[error("{who} asked for {id} or owns it: a second person has to approve it")]
    SamePerson {
        /// Who wanted to approve.
        who: String,
        /// Which one.
        id: String,
    },
    /// There are too many.
    #[error("{most} injections are pending, approved or running: end some, or wait")]
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// There is one of this name.
    #[error("there is a schedule `{name}` already: remove it first")]
    Exists {
        /// The name.
        name: String,
    },
}

fn ends(at_ms: Option<u64>) -> String {
    at_ms.map_or_else(|| "is waiting for its turn".to_owned(), |at| format!("ends by {}", moment(at)))
}

fn waits(is_far: bool) -> &'static str {
    if is_far {
        "nothing waits for so long here (`patience` in the config): ask again then"
    } else {
        "ask with `queue`: true to have it wait"
    }
}

impl Book {
    /// Somebody asks for an injection: it is requested and, if nothing is in its way, started.
    ///
    /// # Errors
    /// It is out of bounds, collides, or nothing may run now.
    pub fn request(
        &self,
        draft: Draft,
        candidates: &[Candidate],
        now: Moment,
        boot: &str,
    ) -> Result<Vec<Event>, Refusal> {
        let Draft { id, request, scope, schedule, indicator, seed } = draft;
        self.fits(&request)?;
        if self.live.len() >= self.rules.most {
            return Err(Refusal::TooMany { most: self.rules.most });
        }
        let matched = matches(&request, candidates)?;
        if let Some(outside) = matched.iter().find(|it| !scope.meets(&it.labels)) {
            return Err(Refusal::OutOfScope { proxy: outside.name.clone(), scope: scope.to_string() });
        }
        let chosen = draw(&matched, request.target.max_targets, seed, &id);
        let labels = chosen.iter().map(|it| (it.name.as_str(), &it.labels));
        let needs_approval = self.rules.approval.reason(labels);
        let targets: Vec<_> = chosen.iter().map(|it| it.name.clone()).collect();
        let obstacle = self.obstacle(&targets, None, now);
        let waits = request.queue || needs_approval.is_some();
        let started = match obstacle {
            Some(refusal) if !waits => return Err(refusal),
            Some(_) => None,
            None if needs_approval.is_some() => None,
            None => Some(started(&id, &request, now, boot)),
        };
        let matched = matched.len();
        let request = Box::new(request);
        let requested = Event::Requested {
            id,
            request,
            targets,
            matched,
            seed,
            needs_approval,
            schedule,
            indicator,
            scope,
        };
        Ok([Some(requested), started].into_iter().flatten().collect())
    }

    /// A second person approves an injection; it starts if nothing is in its way.
    ///
    /// # Errors
    /// There is none that waits for it, or it is not a second person.
    pub fn approve(&self, id: &str, actor: &Actor, now: Moment, boot: &str) -> Result<Vec<Event>, Refusal> {
        let injection = self.known(id)?;
        if injection.state != State::Pending {
            return Err(wrong_state(injection, "only one that is pending can be approved"));
        }
        let same = |one: &str| one.trim().eq_ignore_ascii_case(actor.who.trim());
        if same(&injection.requested_by.who) || same(&injection.request.owner) {
            return Err(Refusal::SamePerson { who: actor.who.clone(), id: id.to_owned() });
        }
        let clear = self.obstacle(&injection.targets, None, now).is_none();
        let approved = Event::Approved { id: id.to_owned() };
        let started = clear.then(|| started(id, &injection.request, now, boot));
        Ok([Some(approved), started].into_iter().flatten().collect())
    }

    /// Somebody takes an injection back, or no longer wants it.
    ///
    /// # Errors
    /// There is none, or it is over.
    pub fn revert(&self, id: &str, actor: &Actor) -> Result<Vec<Event>, Refusal> {
        let injection = self.known(id)?;
        if injection.state.is_over() {
            return Err(wrong_state(injection, "it is over already"));
        }
        Ok(vec![ended(id, Ending::Reverted, format!("taken back by {}", actor.who))])
    }

    /// Somebody takes all of them back that `may` tells.
    pub fn halt(&self, actor: &Actor, may: impl Fn(&Injection) -> bool) -> Vec<Event> {
        let live = self.live.values().map(|live| &live.injection).filter(|it| may(it));
        live.map(|it| ended(&it.id, Ending::Reverted, format!("halted by {}", actor.who))).collect()
    }

    /// It could not be put on, or is on no more though it should be.
    pub fn fail(&self, id: &str, state: Ending, reason: impl Into<String>) -> Vec<Event> {
        if self.live.contains_key(id) { vec![ended(id, state, reason.into())] } else { Vec::new() }
    }

    /// The client that asked for it is still there: its lease begins anew. That is kept in memory alone, as
    /// a lease only ever ends something earlier.
    ///
    /// # Errors
    /// There is none that runs, or it has no lease.
    pub fn renew(&mut self, id: &str, now: Moment) -> Result<(), Refusal> {
        let injection = self.known(id)?;
        let Some(lease) = injection.request.lease() else {
            let message = "this injection has none: ask for one with `lease_seconds`";
            return Err(Invalid::new("lease_seconds", message).into());
        };
        if injection.state != State::Running {
            return Err(wrong_state(injection, "only one that is running has a lease to renew"));
        }
        self.change(id, |live| live.lease_until = Some(super::later(now.steady_ms, lease)));
        Ok(())
    }

    /// Somebody adds a schedule.
    ///
    /// # Errors
    /// There is one of this name, or its injections could never run.
    pub fn add_schedule(&self, schedule: Schedule, now: Moment) -> Result<Vec<Event>, Refusal> {
        let name = &schedule.name;
        let fine = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
        if name.is_empty() || name.len() > 63 || !name.chars().all(fine) {
            let message = "must have 1 to 63 letters, digits, `.`, `_` or `-`";
            return Err(Invalid::new("name", message).into());
        }
        if self.schedules.contains_key(name) {
            return Err(Refusal::Exists { name: name.clone() });
        }
        if self.schedules.len() >= MOST_SCHEDULES {
            let message = format!("there are {MOST_SCHEDULES} schedules already: remove some");
            return Err(Invalid::new("name", message).into());
        }
        self.fits(&schedule.injection).map_err(|error| error.within("injection"))?;
        schedule.when.unless_it_comes(now.wall_ms)?;
        Ok(vec![Event::ScheduleAdded { schedule: Box::new(schedule) }])
    }

    /// Somebody removes a schedule. What it has started goes on.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn remove_schedule(&self, name: &str) -> Result<Vec<Event>, Refusal> {
        if !self.schedules.contains_key(name) {
            return Err(Refusal::NotFound { what: "schedule", name: name.to_owned() });
        }
        Ok(vec![Event::ScheduleRemoved { name: name.to_owned() }])
    }

    fn known(&self, id: &str) -> Result<&Injection, Refusal> {
        self.injection(id).ok_or_else(|| Refusal::NotFound { what: "injection", name: id.to_owned() })
    }

    /// Whether a request keeps to what this server allows now.
    ///
    /// # Errors
    /// It is too long.
    pub fn fits(&self, request: &Request) -> Result<(), Invalid> {
        if request.duration() <= self.rules.longest {
            return Ok(());
        }
        let most = self.rules.longest.as_secs_f64();
        Err(Invalid::new("duration_seconds", format!("must be at most {most}, which is this server's limit")))
    }

    /// Whether the targets of an injection are still what was asked for and approved: labels may have
    /// changed while it waited, or while the server was down.
    ///
    /// # Errors
    /// A target is meant no more, or takes a second person now.
    pub fn is_still_meant(&self, injection: &Injection, candidates: &[Candidate]) -> Result<(), Invalid> {
        let Target { service, selector, .. } = &injection.request.target;
        let mut labels = Vec::new();
        for target in &injection.targets {
            // One that is gone is told of by the proxies.
            let Some(now) = candidates.iter().find(|it| it.name == *target) else { continue };
            if !injection.scope.meets(&now.labels) {
                let who = &injection.requested_by.who;
                let message =
                    format!("{target} is outside of what {who} may touch now ({})", injection.scope);
                return Err(Invalid::new("target", message));
            }
            if !now.serves(service) || !selector.meets(&now.labels) {
                let message =
                    format!("{target} is meant no more: its labels have changed since it was asked for");
                return Err(Invalid::new("target", message));
            }
            labels.push((target.as_str(), &now.labels));
        }
        match self.rules.approval.reason(labels.into_iter()) {
            Some(reason) if injection.approved_by.is_none() => {
                let message = format!("it takes a second person now ({reason}): ask again");
                Err(Invalid::new("target", message))
            }
            _ => Ok(()),
        }
    }

    /// What keeps an injection on these targets from starting now; of those that wait only who came before
    /// `order` counts, everybody if it is new.
    pub(super) fn obstacle(&self, targets: &[String], order: Option<u64>, now: Moment) -> Option<Refusal> {
        if let Some((reason, until_ms)) = self.rules.closed(now.wall_ms) {
            let is_far = now.after(self.rules.patience).wall_ms <= until_ms;
            return Some(Refusal::Closed { reason: reason.to_owned(), until_ms, is_far });
        }
        let on = |target: &String| {
            let holder = self.live.get(self.running_on.get(target)?)?;
            Some((holder, target.clone()))
        };
        let running = targets.iter().find_map(on);
        let waiting = || {
            let before = |live: &&Live| {
                live.injection.state == State::Approved && order.is_none_or(|order| live.order < order)
            };
            let both = |live: &Live| targets.iter().find(|it| live.injection.targets.contains(it)).cloned();
            self.live.values().filter(before).find_map(|live| Some((live, both(live)?)))
        };
        let (other, proxy) = running.or_else(waiting)?;
        let it = &other.injection;
        let (id, owner) = (it.id.clone(), it.request.owner.clone());
        Some(Refusal::Collides { id, owner, ends_at_ms: it.ends_at_ms, proxy })
    }
}

/// Each has to be looked at when the next time is looked for.
const MOST_SCHEDULES: usize = 1000;

/// The names of the proxies that a request means.
///
/// # Errors
/// There are none.
pub(crate) fn meant(request: &Request, candidates: &[Candidate]) -> Result<Vec<String>, Invalid> {
    Ok(matches(request, candidates)?.into_iter().map(|it| it.name.clone()).collect())
}

/// The proxies that are meant, by name.
fn matches<'a>(request: &Request, candidates: &'a [Candidate]) -> Result<Vec<&'a Candidate>, Invalid> {
    let target = &request.target;
    let of_service: Vec<_> = candidates.iter().filter(|it| it.serves(&target.service)).collect();
    if of_service.is_empty() {
        let known: BTreeSet<_> =
            candidates.iter().map(|it| it.labels.get("service").unwrap_or(&it.name).as_str()).collect();
        let known: Vec<_> = known.into_iter().collect();
        let of_another = candidates.iter().find(|it| it.name == target.service);
        let of_another = of_another.and_then(|it| it.labels.get("service"));
        // The name of one proxy must not lead to all of its service.
        let hint = match of_another {
            Some(service) => format!(
                "; the proxy of this name belongs to the service `{service}`, of which `selector` picks some"
            ),
            None => sabot_toxics::suggestion(&target.service, &known),
        };
        let message =
            format!("no proxy belongs to it, by its label `service` or, without one, by its name{hint}");
        return Err(Invalid::new("target.service", message));
    }
    let matched: Vec<_> = of_service.iter().copied().filter(|it| target.selector.meets(&it.labels)).collect();
    if matched.is_empty() {
        let message = format!(
            "`{}` meets none of the {} proxies of {}",
            target.selector,
            of_service.len(),
            target.service
        );
        return Err(Invalid::new("target.selector", message));
    }
    Ok(matched)
}

/// At most `most` of them, drawn by the seed; in the order of their names.
fn draw<'a>(matched: &[&'a Candidate], most: u32, seed: u64, id: &str) -> Vec<&'a Candidate> {
    let mut pool = matched.to_vec();
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(pool.len());
    let draws = &mut Seed::new(seed).split("injection").split(id).at(0);
    for place in 0..most {
        let other = place + draws.below((pool.len() - place) as u64) as usize;
        pool.swap(place, other);
    }
    pool.truncate(most);
    pool.sort_by(|a, b| a.name.cmp(&b.name));
    pool
}

pub(super) fn started(id: &str, request: &Request, now: Moment, boot: &str) -> Event {
    let duration_ms = u64::try_from(request.duration().as_millis()).unwrap_or(u64::MAX);
    Event::Started { id: id.to_owned(), duration_ms, steady_ms: now.steady_ms, boot: boot.to_owned() }
}

pub(super) fn ended(id: &str, state: Ending, reason: String) -> Event {
    Event::Ended { id: id.to_owned(), state, reason, breach: None }
}

fn wrong_state(injection: &Injection, wants: &'static str) -> Refusal {
    Refusal::WrongState { id: injection.id.clone(), state: injection.state, wants }
}
