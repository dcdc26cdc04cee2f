//! When what was on.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Load, but nothing counts yet: caches and pools fill.
    WarmUp,
    /// Load, nothing broken: the steady state.
    Baseline,
    /// Load, and the fault on.
    Fault,
    /// Load, the fault gone.
    Recovery,
}

impl Phase {
    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WarmUp => "warm-up",
            Self::Baseline => "baseline",
            Self::Fault => "fault",
            Self::Recovery => "recovery",
        }
    }
}

/// Where the phases lie, in whole seconds from the start of the load. A phase that was not reached
/// is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phases {
    /// When the baseline began.
    pub baseline_s: u64,
    /// When the fault came on, and the baseline ended.
    pub fault_s: u64,
    /// When the fault was gone.
    pub recovery_s: u64,
    /// When the load ended.
    pub end_s: u64,
}

impl Phases {
    /// The phase that a second belongs to; past the end, the last.
    #[must_use]
    pub fn at(&self, second: u64) -> Phase {
        let phases = [Phase::WarmUp, Phase::Baseline, Phase::Fault];
        phases.into_iter().find(|phase| self.of(*phase).contains(&second)).unwrap_or(Phase::Recovery)
    }

    /// The seconds of a phase.
    #[must_use]
    pub fn of(&self, phase: Phase) -> Range<u64> {
        match phase {
            Phase::WarmUp => 0..self.baseline_s,
            Phase::Baseline => self.baseline_s..self.fault_s,
            Phase::Fault => self.fault_s..self.recovery_s,
            Phase::Recovery => self.recovery_s..self.end_s,
        }
    }
}
