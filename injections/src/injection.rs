//! An injection and its life.

use serde::{Deserialize, Serialize};

use crate::event::Actor;
use crate::request::{Request, Selector};

/// Where an injection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for a second person.
    Pending,
    /// May begin, and waits for its place.
    Approved,
    /// The fault is on, or about to be.
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

impl State {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Running => "running",
            Self::Aborted => "aborted",
            Self::Completed => "completed",
            Self::Reverted => "reverted",
            Self::Failed => "failed",
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Approved | Self::Running)
    }
}

/// How an injection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Taken back by what guards it.
    Aborted,
    /// Its time was up.
    Completed,
    /// Taken back by somebody.
    Reverted,
    /// Never came to be, or was lost.
    Failed,
}

impl From<Ending> for State {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Aborted => Self::Aborted,
            Ending::Completed => Self::Completed,
            Ending::Reverted => Self::Reverted,
            Ending::Failed => Self::Failed,
        }
    }
}

/// What was broken while the fault was on.
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

/// An injection.
#[derive(Clone, Debug, PartialEq)]
pub struct Injection {
    /// Its name.
    pub id: String,
    /// Where it is.
    pub state: State,
    /// What was asked for.
    pub request: Request,
    /// Who asked.
    pub requested_by: Actor,
    /// When, in milliseconds since 1970.
    pub requested_at_ms: u64,
    /// The proxies that it hits.
    pub targets: Vec<String>,
    /// How many were meant, of which these were drawn.
    pub matched: usize,
    /// The seed by which they were drawn.
    pub seed: u64,
    /// The schedule that asked.
    pub schedule: Option<String>,
    /// Where the configured indicator that guards it comes from; none if it is the targets' own view.
    pub indicator: Option<String>,
    /// Why a second person has to approve it.
    pub needs_approval: Option<String>,
    /// Who did.
    pub approved_by: Option<Actor>,
    /// When the fault came on.
    pub started_at_ms: Option<u64>,
    /// When it goes off at the latest, by the clock on the wall as it was then.
    pub ends_at_ms: Option<u64>,
    /// When it went off.
    pub ended_at_ms: Option<u64>,
    /// Who ended it.
    pub ended_by: Option<Actor>,
    /// Why it ended.
    pub reason: Option<String>,
    /// What was broken, if that was why.
    pub breach: Option<Breach>,
    /// How long after the fault was off all was as before.
    pub recovered_after_seconds: Option<f64>,
    /// The 99th percentile of before, by which the server's limit judges.
    pub p99_before_ms: Option<f64>,
    /// What is amiss with what watches it.
    pub warnings: Vec<String>,
    /// The proxies that whoever asked may touch.
    pub scope: Selector,
}
