//! What the calls of injections take and give. Moments are RFC 3339 in UTC; unknown fields in answers are ignored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A fault with all that makes it safe to try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewInjection {
    /// What may break.
    pub target: InjectionTarget,
    /// How: `{"type": "latency", "p50_ms": 200, "p99_ms": 500}`.
    pub fault: Map<String, Value>,
    /// For how long.
    pub duration_seconds: f64,
    /// What has to stay true.
    pub steady_state: SteadyState,
    /// What is expected to happen.
    pub hypothesis: String,
    /// Whom to ask about it.
    pub owner: String,
    /// Whether it waits when it cannot begin at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queue: bool,
    /// After how long without a renewal it ends early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<f64>,
}

/// What may break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectionTarget {
    /// The label `service` of the proxies that are meant, or else their name.
    pub service: String,
    /// Which of them, by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// How many of those at most.
    pub max_targets: u32,
}

/// What has to stay true while a fault is on: `min`, `max` or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SteadyState {
    /// An indicator of the server's configuration, or any name for the share of good requests through the targets.
    pub slo: String,
    /// It has to be at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// It has to be at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// For how many seconds it may be broken.
    pub abort_after: f64,
    /// For how many seconds there may be no data, at least 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_without_data_after: Option<f64>,
}

/// Which injections are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Only those in this state.
    pub state: Option<String>,
    /// Only those that ask for this service.
    pub service: Option<String>,
    /// So many at most.
    pub limit: Option<u32>,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Their name.
    pub who: String,
    /// Their address; empty for the server.
    #[serde(default)]
    pub from: String,
}

/// An injection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    /// Names it.
    pub id: String,
    /// `pending`, `approved`, `running`, `aborted`, `completed`, `reverted` or `failed`.
    pub state: String,
    /// What may break.
    pub target: InjectionTarget,
    /// How.
    pub fault: Map<String, Value>,
    /// For how long.
    pub duration_seconds: f64,
    /// What has to stay true; none if only the server's standing limits watch.
    pub steady_state: Option<SteadyState>,
    /// What is expected to happen.
    pub hypothesis: String,
    /// Whom to ask about it.
    pub owner: String,
    /// Whether it waits when it cannot begin at once.
    #[serde(default)]
    pub queue: bool,
    /// After how many seconds without a renewal it ends early.
    pub lease_seconds: Option<f64>,
    /// Who asked for it.
    pub requested_by: Actor,
    /// When.
    pub requested_at: String,
    /// The proxies that it hits.
    pub targets: Vec<String>,
    /// How many were meant, of which these were drawn.
    pub matched: usize,
    /// The seed by which they were drawn.
    pub seed: u64,
    /// The schedule that asked.
    pub schedule: Option<String>,
    /// Why a second person has to approve it.
    pub needs_approval: Option<String>,
    /// Who did.
    pub approved_by: Option<Actor>,
    /// When the fault came on.
    pub started_at: Option<String>,
    /// When it goes off at the latest.
    pub ends_at: Option<String>,
    /// When it went off.
    pub ended_at: Option<String>,
    /// Who ended it.
    pub ended_by: Option<Actor>,
    /// Why it ended.
    pub reason: Option<String>,
    /// What was broken, if that was why.
    pub breach: Option<Breach>,
    /// How long after the fault was off all was as before.
    pub recovered_after_seconds: Option<f64>,
    /// What is amiss with what watches it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Injection {
    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !matches!(self.state.as_str(), "pending" | "approved" | "running")
    }
}

/// What was broken while a fault was on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// The indicator.
    pub slo: String,
    /// Where its values come from.
    pub source: String,
    /// The last value; none if there was no data.
    pub value: Option<f64>,
    /// What it had to be.
    pub objective: String,
    /// For how long it was not.
    pub seconds: f64,
}

/// Injections as they are listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Those that are not over, the oldest first, then those that are, the newest first.
    pub injections: Vec<Injection>,
    /// How many more there are that are meant.
    #[serde(default)]
    pub more: u64,
    /// What keeps the journal from being written: nothing is injected until it can be.
    #[serde(default)]
    pub trouble: Option<String>,
    /// The journal could not be read at the server's start: what was on before is not known.
    #[serde(default)]
    pub unread: bool,
}

/// What a halt came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halted {
    /// The ids of what was taken back.
    pub reverted: Vec<String>,
    /// How many go on, or wait, that the token may not touch.
    #[serde(default)]
    pub out_of_scope: u64,
}

/// An injection that comes again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Names it.
    pub name: String,
    /// When.
    pub when: String,
    /// When next; none is never again.
    pub next_at: Option<String>,
    /// What is asked for.
    pub injection: Value,
    /// Whose it is.
    pub by: Actor,
    /// What they may touch; empty is all.
    #[serde(default)]
    pub scope: String,
    /// Why it would be left out as the proxies are now; where it is added, and if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Which events of the audit are looked for; what is none bounds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// From then on: RFC 3339, or `02:47`.
    pub since: Option<String>,
    /// Before then.
    pub until: Option<String>,
    /// Done by them.
    pub who: Option<String>,
    /// What begins with these words, such as `injection.ended`.
    pub action: Option<String>,
    /// About this injection, schedule or token.
    pub subject: Option<String>,
    /// Behind the event of this number.
    pub after: Option<u64>,
    /// So many at most.
    pub limit: Option<u32>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its place, from 1 on.
    pub seq: u64,
    /// When.
    pub at: String,
    /// The same in milliseconds since 1970, as it is hashed.
    pub at_ms: u64,
    /// Who did it.
    pub who: String,
    /// Their address; empty for the server.
    #[serde(default)]
    pub from: String,
    /// What it was, such as `injection.started`.
    pub action: String,
    /// What else belongs to it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Whether the audit is as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Whether it is.
    pub intact: bool,
    /// How many events there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// The place of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// The hash of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Whether all of it is in memory alone, and gone with the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_memory: Option<bool>,
    /// The first event that is not as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<u64>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What was on at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnAt {
    /// The moment.
    pub time: String,
    /// The end of the minute, if that was asked for.
    pub until: Option<String>,
    /// The injections whose faults were on, as they are now.
    pub injections: Vec<Injection>,
    /// The last changes before its end by other routes, such as toxics that somebody set; the newest comes last.
    pub changes: Vec<AuditEvent>,
    /// When the journal begins, if that is later: of what was before it nothing is known.
    pub begins: Option<String>,
}
