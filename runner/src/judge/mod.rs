//! Whether the system held: pure functions of what was observed.
//!
//! - [`phases`]: when what was on;
//! - [`track`]: when each objective was left, and when it was met again;
//! - [`verdict`]: the word, and the reasons for it; `judgement` is what they are written as.

mod judgement;
pub mod phases;
pub mod track;
pub mod verdict;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use judgement::{Hit, Judgement, Objective, Recovery, Slos, Verdict};
pub use phases::{Phase, Phases};
pub use track::{Excursion, Tracker};
pub use verdict::judge;
pub(crate) use verdict::too_few;

use crate::series::{Series, Tally};
use crate::slo::{Indicator, Names, Slo, Subject};

/// Everything that a verdict is made of.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// What the indices of `series` stand for.
    pub names: &'a Names,
    /// What became of the load, by intended second.
    pub series: &'a Series,
    /// What the SLIs said, by name.
    pub slis: &'a BTreeMap<String, Samples>,
    /// When what was on.
    pub phases: &'a Phases,
}

/// What an SLI said: seconds since the start of the load, and the value, if it had one then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Samples(pub Vec<(u64, Option<f64>)>);

impl Samples {
    /// The value of each second from the start of the load on; the last, where there were several.
    #[must_use]
    pub fn by_second(&self, seconds: u64) -> Vec<Option<f64>> {
        let mut values = vec![None; usize::try_from(seconds).unwrap_or(0)];
        for (second, value) in &self.0 {
            if let Some(place) = usize::try_from(*second).ok().and_then(|at| values.get_mut(at)) {
                *place = value.or(*place);
            }
        }
        values
    }

    /// The mean of the samples of these seconds; none if there was none.
    #[must_use]
    pub fn mean(&self, seconds: std::ops::Range<u64>) -> Option<f64> {
        let values = self.0.iter().filter(|(at, _)| seconds.contains(at)).filter_map(|(_, value)| *value);
        let (count, sum) = values.fold((0u32, 0.0), |(count, sum), value| (count + 1, sum + value));
        (count > 0).then(|| sum / f64::from(count))
    }
}

impl Observed<'_> {
    /// What the indicator of `slo` was for `subject` in these seconds; none if too little came to
    /// tell.
    #[must_use]
    pub fn value(&self, slo: &Slo, subject: Subject, seconds: std::ops::Range<u64>) -> Option<f64> {
        if let Indicator::Sli(name) = &slo.indicator {
            return self.slis.get(name)?.mean(seconds);
        }
        let length = seconds.end.saturating_sub(seconds.start);
        let tally = self.tally(slo, subject, seconds);
        if tally.ended() < slo.indicator.least() {
            return None;
        }
        slo.indicator.of(&tally, length as f64)
    }

    /// How many requests of `slo` and `subject` the schedule called for in these seconds.
    pub(crate) fn offered(&self, slo: &Slo, subject: Subject, seconds: std::ops::Range<u64>) -> u64 {
        self.tally(slo, subject, seconds).offered()
    }

    fn tally(&self, slo: &Slo, subject: Subject, seconds: std::ops::Range<u64>) -> Tally {
        self.series.tally(seconds, |endpoint, tenant| {
            subject.endpoint.is_none_or(|only| only == endpoint)
                && subject.tenant.is_none_or(|only| only == tenant)
                && slo.scope.holds(self.names, endpoint, tenant)
        })
    }
}
