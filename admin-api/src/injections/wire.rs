//! What is answered. Apart from the engine's types, so that those can change without the wire noticing; moments are
//! RFC 3339 in UTC here.

use sabot_injections::event::{Actor, Event};
use sabot_injections::injection::{self, Breach, State};
use sabot_injections::journal::{Stored, Verified};
use sabot_injections::request::{Fault, SteadyState, Target};
use sabot_injections::rules::moment;
use sabot_injections::schedule;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Ref;

/// Where an injection may be in its life.
pub(super) const STATES: [State; 7] = [
    State::Pending,
    State::Approved,
    State::Running,
    State::Aborted,
    State::Completed,
    State::Reverted,
    State::Failed,
];

/// Where an injection is in its life.
#[derive(ToSchema)]
#[schema(as = InjectionState, rename_all = "lowercase")]
#[expect(dead_code, reason = "describes a type of the engine")]
pub(crate) enum StateName {
    /// Waits for a second person.
    Pending,
    /// May begin, and waits for its place.
    Approved,
    /// The fault is on.
    Running,
    /// Taken back by what guards it.
    Aborted,
    /// Its time was up.
    Completed,
    /// Taken back by somebody.
    Reverted,
    /// Never came to be, or was lost.
    Failed,
}

/// Who did something.
#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
pub(crate) struct Person {
    /// The owner of the token; what the request says where there are no tokens; `sabot` for the server.
    who: String,
    /// Their address; empty for the server.
    from: String,
}

impl From<Actor> for Person {
    fn from(actor: Actor) -> Self {
        Self { who: actor.who, from: actor.from }
    }
}

/// An injection: the six parts as they were asked for, and what came of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct Injection {
    /// Names it.
    #[schema(example = "inj-0123456789ab")]
    id: String,
    /// Where it is in its life.
    #[schema(value_type = StateName)]
    state: State,
    /// What may break.
    #[schema(schema_with = target)]
    target: Target,
    /// How it breaks.
    #[schema(schema_with = fault)]
    fault: Fault,
    /// For how long, in seconds.
    duration_seconds: f64,
    /// What has to stay true; `null` if only the server's standing limits watch.
    #[schema(schema_with = steady_state)]
    steady_state: Option<SteadyState>,
    /// What is expected to happen.
    hypothesis: String,
    /// Whom to ask about it.
    owner: String,
    /// Whether it waits when it cannot begin at once.
    queue: bool,
    /// After how many seconds without a renewal it ends early.
    lease_seconds: Option<f64>,
    /// Who asked for it.
    requested_by: Person,
    /// When.
    #[schema(format = DateTime)]
    requested_at: String,
    /// The proxies that it hits.
    targets: Vec<String>,
    /// How many were meant, of which these were drawn.
    matched: usize,
    /// The seed by which they were drawn.
    seed: u64,
    /// The schedule that asked.
    schedule: Option<String>,
    /// Why a second person has to approve it.
    needs_approval: Option<String>,
    /// Who did.
    approved_by: Option<Person>,
    /// When the fault came on.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it goes off at the latest.
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// When it went off.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Who ended it.
    ended_by: Option<Person>,
    /// Why it ended.
    reason: Option<String>,
    /// What was broken, if that was why.
    #[schema(value_type = Option<BreachData>)]
    breach: Option<Breach>,
    /// How long after the fault was off all requests through the targets were as before; `null` if that was not seen.
    recovered_after_seconds: Option<f64>,
    /// What is amiss with what watches it: standing limits that have nothing to look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

impl From<injection::Injection> for Injection {
    fn from(it: injection::Injection) -> Self {
        let request = it.request;
        Self {
            id: it.id,
            state: it.state,
            target: request.target,
            fault: request.fault,
            duration_seconds: request.duration_seconds,
            steady_state: request.steady_state,
            hypothesis: request.hypothesis,
            owner: request.owner,
            queue: request.queue,
            lease_seconds: request.lease_seconds,
            requested_by: it.requested_by.into(),
            requested_at: moment(it.requested_at_ms),
            targets: it.targets,
            matched: it.matched,
            seed: it.seed,
            schedule: it.schedule,
            needs_approval: it.needs_approval,
            approved_by: it.approved_by.map(Person::from),
            started_at: it.started_at_ms.map(moment),
            ends_at: it.ends_at_ms.map(moment),
            ended_at: it.ended_at_ms.map(moment),
            ended_by: it.ended_by.map(Person::from),
            reason: it.reason,
            breach: it.breach,
            recovered_after_seconds: it.recovered_after_seconds,
            warnings: it.warnings,
        }
    }
}

/// What was broken while a fault was on.
#[derive(ToSchema)]
#[schema(as = Breach)]
#[expect(dead_code, reason = "describes a type of the engine")]
pub(crate) struct BreachData {
    /// The indicator.
    slo: String,
    /// Where its values come from.
    source: String,
    /// The last value; `null` if there was no data.
    value: Option<f64>,
    /// What it had to be.
    objective: String,
    /// For how many seconds it was not.
    seconds: f64,
}

/// Injections.
#[derive(Serialize, ToSchema)]
pub(crate) struct Injections {
    pub(super) injections: Vec<Injection>,
    /// How many more there are that are meant.
    pub(super) more: usize,
    /// What keeps the journal from being written: nothing is injected until it can be.
    pub(super) trouble: Option<String>,
    /// The journal could not be read at the start: what was on before is not known.
    pub(super) unread: bool,
}

/// The injections that were taken back.
#[derive(Serialize, ToSchema)]
pub(crate) struct Halted {
    /// Their ids.
    pub(super) reverted: Vec<String>,
    /// How many go on, or wait, that the token may not touch.
    pub(super) out_of_scope: usize,
}

/// A fault by `/chaos/inject`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Begun {
    /// Names the injection that it is.
    pub(super) id: String,
    /// When it came on; `null` if it waits for its approval.
    #[schema(format = DateTime)]
    pub(super) t_start: Option<String>,
    /// When it goes off at the latest.
    #[schema(format = DateTime)]
    pub(super) t_end: Option<String>,
    /// Where it is in its life.
    #[schema(value_type = StateName)]
    pub(super) state: State,
    /// The proxies that it hits.
    pub(super) targets: Vec<String>,
    /// Whose it is.
    pub(super) owner: String,
    /// What is amiss with what watches it: standing limits that have nothing to look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(super) warnings: Vec<String>,
}

/// A fault that `/chaos/revert` took back.
#[derive(Serialize, ToSchema)]
pub(crate) struct Stopped {
    /// Names the injection that it was.
    pub(super) id: String,
    /// When it went off.
    #[schema(format = DateTime)]
    pub(super) t_stop: Option<String>,
    /// How long after that all requests through the targets were as before the fault; `null` if it was not seen: the
    /// targets speak no HTTP, or had no requests, or are not well yet.
    pub(super) mttr_seconds: Option<f64>,
    /// Where it is in its life.
    #[schema(value_type = StateName)]
    pub(super) state: State,
    /// Why it ended.
    pub(super) reason: Option<String>,
}

/// An injection that comes again.
#[derive(Serialize, ToSchema)]
pub(crate) struct Schedule {
    /// Names it.
    pub(super) name: String,
    /// When: `@every 6h`, or cron.
    when: String,
    /// When next; `null` is never again.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// What is asked for, as `POST /injections` takes it.
    #[schema(schema_with = new_injection)]
    injection: Value,
    /// Whose it is: as them it asks.
    by: Person,
    /// What they may touch; empty is all.
    scope: String,
    /// Why it would be left out as the proxies are now; only where it is added, and if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) warning: Option<String>,
}

impl From<(schedule::Schedule, Option<u64>)> for Schedule {
    fn from((it, next_ms): (schedule::Schedule, Option<u64>)) -> Self {
        Self {
            name: it.name,
            when: it.when.to_string(),
            next_at: next_ms.map(moment),
            injection: serde_json::to_value(it.injection).unwrap_or_default(),
            by: it.by.into(),
            scope: it.scope.to_string(),
            warning: None,
        }
    }
}

/// All schedules, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Schedules {
    pub(super) schedules: Vec<Schedule>,
}

/// What happened, as it is kept; what else there is depends on `action`.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEvent {
    /// Its place, from 1 on.
    seq: u64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The same in milliseconds since 1970, as it is hashed.
    at_ms: u64,
    /// Who did it.
    who: String,
    /// Their address; empty for the server.
    from: String,
    /// What happened, and with what.
    #[serde(flatten)]
    #[schema(schema_with = event)]
    event: Event,
    /// A proof of all that was until then.
    hash: String,
}

impl From<Stored> for AuditEvent {
    fn from(stored: Stored) -> Self {
        let Stored { seq, at_ms, actor, event, hash } = stored;
        Self { seq, at: moment(at_ms), at_ms, who: actor.who, from: actor.from, event, hash }
    }
}

/// What happened, the oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Audit {
    pub(super) events: Vec<AuditEvent>,
}

/// Whether the audit is as it was written.
#[derive(Serialize, ToSchema)]
pub(crate) struct Verdict {
    /// Whether it is.
    intact: bool,
    /// How many events there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    events: Option<u64>,
    /// The place of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last: Option<u64>,
    /// The hash of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    head: Option<String>,
    /// The server has no state directory: all of it is in memory, and gone with the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    in_memory: Option<bool>,
    /// The first event that is not as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    broken_at: Option<u64>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

impl Verdict {
    pub(super) fn intact(verified: &Verified) -> Self {
        Self {
            intact: true,
            events: Some(verified.events),
            last: Some(verified.last),
            head: Some(verified.head.clone()),
            in_memory: Some(verified.in_memory),
            broken_at: None,
            reason: None,
        }
    }

    pub(super) fn broken(seq: u64, reason: String) -> Self {
        let (broken_at, reason) = (Some(seq), Some(reason));
        Self { intact: false, events: None, last: None, head: None, in_memory: None, broken_at, reason }
    }
}

/// What was on at a moment.
#[derive(Serialize, ToSchema)]
pub(crate) struct At {
    /// The moment.
    #[schema(format = DateTime)]
    pub(super) time: String,
    /// The end of the minute, if that was asked for.
    #[schema(format = DateTime)]
    pub(super) until: Option<String>,
    /// The injections whose faults were on, as they are now; that which began first comes first.
    pub(super) injections: Vec<Injection>,
    /// The last changes before its end by other routes, such as toxics that somebody set; the newest comes last.
    pub(super) changes: Vec<AuditEvent>,
    /// When the journal begins, if that is later: of what was before it nothing is known.
    #[schema(format = DateTime)]
    pub(super) begins: Option<String>,
}

/// The data of a server-sent event: what happened, and what else belongs to it.
#[derive(ToSchema)]
#[schema(as = InjectionEvent)]
#[expect(dead_code, reason = "describes events that the engine writes")]
pub(crate) struct ChangeData {
    /// What happened: `injection.requested`, `injection.approved`, `injection.started`, `injection.resumed`,
    /// `injection.guarded`, `injection.warned`, `injection.ended`, `injection.recovered`, `schedule.added`,
    /// `schedule.removed`, `schedule.skipped`.
    action: Option<String>,
    /// The injection that it is about.
    id: Option<String>,
    /// That injection as it is now.
    injection: Option<Injection>,
    /// `lagged` when the reader was too slow.
    r#type: Option<String>,
    /// How many were missed.
    missed: Option<u64>,
}

fn target() -> Ref {
    Ref::from_schema_name("InjectionTarget")
}

fn fault() -> Ref {
    Ref::from_schema_name("InjectionFault")
}

fn steady_state() -> Ref {
    Ref::from_schema_name("SteadyState")
}

fn new_injection() -> Ref {
    Ref::from_schema_name("ScheduledInjection")
}

fn event() -> Ref {
    Ref::from_schema_name("AuditAction")
}
