//! What happens, as it is kept: the journal is a list of these, and everything else follows from it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::injection::{Breach, Ending};
use crate::request::{Request, Selector};
use crate::schedule::Schedule;

/// How many levels of lists and objects a value that came from outside may have: the journal puts some around
/// it, and what has more than 127 in all cannot be read again.
pub const DEEPEST: usize = 100;

/// Whether the journal can keep a value that came from outside, by [how deep](DEEPEST) it is.
#[must_use]
pub fn is_kept(value: &Value) -> bool {
    fn within(value: &Value, levels: usize) -> bool {
        let inner = |value: &Value| levels > 0 && within(value, levels - 1);
        match value {
            Value::Array(items) => items.iter().all(inner),
            Value::Object(map) => map.values().all(inner),
            _ => true,
        }
    }
    within(value, DEEPEST)
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The owner of the token; what the request says where there are no tokens; `sabot` for the server.
    pub who: String,
    /// Whence: an address, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
}

impl Actor {
    /// The server itself.
    #[must_use]
    pub fn server() -> Self {
        Self { who: "sabot".to_owned(), from: String::new() }
    }

    /// Somebody.
    pub fn new(who: impl Into<String>, from: impl Into<String>) -> Self {
        Self { who: who.into(), from: from.into() }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action")]
pub enum Event {
    /// Somebody asked for an injection, and may have it.
    #[serde(rename = "injection.requested")]
    Requested {
        /// Its name.
        id: String,
        /// What was asked for.
        request: Box<Request>,
        /// The proxies that it is going to hit.
        targets: Vec<String>,
        /// How many were meant, of which these were drawn.
        matched: usize,
        /// The seed by which they were drawn.
        seed: u64,
        /// Why a second person has to approve it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        needs_approval: Option<String>,
        /// The schedule that asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schedule: Option<String>,
        /// Where the configured indicator that guards it comes from; none if it is the targets' own view.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        indicator: Option<String>,
        /// The proxies that whoever asked may touch.
        #[serde(default, skip_serializing_if = "Selector::is_empty")]
        scope: Selector,
    },
    /// A second person approved it.
    #[serde(rename = "injection.approved")]
    Approved {
        /// Which one.
        id: String,
    },
    /// The fault is about to be put on: kept before it is.
    #[serde(rename = "injection.started")]
    Started {
        /// Which one.
        id: String,
        /// For how long.
        duration_ms: u64,
        /// When, by the clock that nobody sets.
        steady_ms: u64,
        /// What that clock counts from.
        boot: String,
    },
    /// It goes on after a restart of the server.
    #[serde(rename = "injection.resumed")]
    Resumed {
        /// Which one.
        id: String,
        /// What is left of its time.
        duration_ms: u64,
        /// When, by the clock that nobody sets.
        steady_ms: u64,
        /// What that clock counts from.
        boot: String,
    },
    /// It is over.
    #[serde(rename = "injection.ended")]
    Ended {
        /// Which one.
        id: String,
        /// How.
        state: Ending,
        /// Why.
        reason: String,
        /// What was broken, if that was why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        breach: Option<Breach>,
    },
    /// What was before the fault, by which the server's limits judge: kept so that they hold after a restart.
    #[serde(rename = "injection.guarded")]
    Guarded {
        /// Which one.
        id: String,
        /// The 99th percentile of the requests that are watched, in milliseconds.
        p99_ms: f64,
    },
    /// It is on, and not watched as one might think.
    #[serde(rename = "injection.warned")]
    Warned {
        /// Which one.
        id: String,
        /// What is amiss, and the remedy.
        warning: String,
    },
    /// What was watched is as it was before the fault, or was not within the time that is waited for it.
    #[serde(rename = "injection.recovered")]
    Recovered {
        /// Which one.
        id: String,
        /// How long after the fault was off; none if it was not seen.
        seconds: Option<f64>,
    },
    /// Something was refused.
    #[serde(rename = "refused")]
    Refused {
        /// What was asked for.
        what: String,
        /// Why not.
        reason: String,
    },
    /// A schedule is there.
    #[serde(rename = "schedule.added")]
    ScheduleAdded {
        /// What it says.
        schedule: Box<Schedule>,
    },
    /// A schedule is gone.
    #[serde(rename = "schedule.removed")]
    ScheduleRemoved {
        /// Its name.
        name: String,
    },
    /// The time of a schedule came, and there was no injection.
    #[serde(rename = "schedule.skipped")]
    ScheduleSkipped {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Somebody may do something from now on.
    #[serde(rename = "token.created")]
    TokenCreated {
        /// Its name.
        id: String,
        /// Whose it is.
        owner: String,
        /// What it is for.
        role: String,
        /// For which proxies.
        scope: String,
        /// Until when, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at_ms: Option<u64>,
    },
    /// Or no more.
    #[serde(rename = "token.revoked")]
    TokenRevoked {
        /// Its name.
        id: String,
    },
    /// A change by any other route, with what came of it.
    #[serde(rename = "changed")]
    Changed {
        /// The request.
        what: String,
        /// The status of its answer.
        status: u16,
        /// What it said, without what is secret.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        detail: Value,
    },
    /// The server is there.
    #[serde(rename = "server.started")]
    ServerStarted {
        /// Its version.
        version: String,
        /// What it does with injections that were running.
        on_restart: String,
    },
    /// The server was asked to stop.
    #[serde(rename = "server.stopped")]
    ServerStopped {},
    /// The configuration was read anew.
    #[serde(rename = "config.reloaded")]
    Reloaded {
        /// What came of it.
        outcome: String,
    },
    /// Somebody could not be told.
    #[serde(rename = "webhook.failed")]
    WebhookFailed {
        /// Who.
        webhook: String,
        /// Of what.
        about: String,
        /// Why.
        reason: String,
    },
}

impl Event {
    /// What it is about: an injection, a schedule or a token.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Requested { id, .. }
            | Self::Approved { id }
            | Self::Started { id, .. }
            | Self::Resumed { id, .. }
            | Self::Ended { id, .. }
            | Self::Guarded { id, .. }
            | Self::Warned { id, .. }
            | Self::Recovered { id, .. }
            | Self::TokenCreated { id, .. }
            | Self::TokenRevoked { id } => Some(id),
            Self::ScheduleAdded { schedule } => Some(&schedule.name),
            Self::ScheduleRemoved { name } | Self::ScheduleSkipped { name, .. } => Some(name),
            Self::Refused { .. }
            | Self::Changed { .. }
            | Self::ServerStarted { .. }
            | Self::ServerStopped {}
            | Self::Reloaded { .. }
            | Self::WebhookFailed { .. } => None,
        }
    }
}
