//! What is asked of a run, and what it comes to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Excursion, Phase};
use crate::slo::Slo;

/// How a run came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// In SLO while the fault was on, and after it.
    Held,
    /// Out of SLO while the fault was on, and back in it afterwards.
    Degraded,
    /// It spread to what should have been spared, or did not recover.
    Failed,
    /// Ended before its time: by the stop condition, or by hand.
    Aborted,
    /// It proves nothing: no clean baseline, or a fault that was not seen to act.
    Invalid,
}

impl Verdict {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Invalid => "invalid",
        }
    }

    /// How bad it is, from 0: a run regressed if its verdict is worse than that of the result which
    /// it is compared with. A run that proves nothing, or had to be stopped, is worse than any other.
    #[must_use]
    pub fn badness(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Degraded => 1,
            Self::Failed => 2,
            Self::Aborted => 3,
            Self::Invalid => 4,
        }
    }
}

/// The objectives of an experiment, by phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Slos {
    /// For the baseline: if the system does not meet them then, the run is invalid.
    pub steady: Vec<Slo>,
    /// For the time of the fault.
    pub fault: Vec<Slo>,
    /// For the time after it.
    pub after: Vec<Slo>,
    /// The endpoints that may leave their objectives while the fault is on; if others do, it has
    /// spread. None: it has spread if all endpoints left theirs, and there are several.
    pub blast_radius: Option<Vec<String>>,
}

/// An objective in a phase, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Objective {
    /// The objective as it was written.
    pub slo: String,
    /// When it was judged.
    pub phase: Phase,
    /// The tenant, if every tenant is judged by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What was measured: a share, seconds, a second, or a number; none if too little came to tell, or
    /// if it is a latency and no request was answered as expected.
    pub value: Option<f64>,
    /// What it had to be below or above.
    pub bound: f64,
    /// Whether it was met; none if too little came to tell.
    pub met: Option<bool>,
}

/// What left its objective while the fault was on or after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The objective as it was written.
    pub slo: String,
    /// The endpoint; none for an SLI of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The tenant; none: all tenants together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When it was left and met again.
    pub excursions: Vec<Excursion>,
}

/// How the system came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// Every objective was met while the fault was on and from its end on: resilience.
    Absorbed,
    /// Objectives were left, and are met again: recovery.
    Healed,
    /// Not all objectives are met again.
    NotRecovered,
}

/// What the observations come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    /// The word.
    pub verdict: Verdict,
    /// Why, the weightiest first; sentences.
    pub reasons: Vec<String>,
    /// What makes the numbers worth less than they look; sentences.
    pub warnings: Vec<String>,
    /// Each objective in its phase.
    pub objectives: Vec<Objective>,
    /// What left its objectives: endpoints, and tenants of them.
    pub blast_radius: Vec<Hit>,
    /// How it came through; none if the run was aborted or is invalid.
    pub recovery: Option<Recovery>,
    /// From the removal of the fault until all objectives were met and stayed so, in seconds: the
    /// MTTR. 0 if they were met throughout; none if they were not met again.
    pub mttr_s: Option<f64>,
}

impl Objective {
    /// That it was broken, for people.
    pub(super) fn sentence(&self) -> String {
        let of = self.tenant.as_deref().map(|tenant| format!(" of {tenant}")).unwrap_or_default();
        let told = match (self.value, self.slo.parse::<Slo>()) {
            (Some(value), Ok(slo)) => crate::slo::format_value(value, slo.indicator.unit()),
            _ => "no request was answered as expected".to_owned(),
        };
        format!("In the {} `{}`{of} was broken: {told}.", self.phase.name(), self.slo)
    }
}
