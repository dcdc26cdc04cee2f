//! When an objective was left, and when it was met again.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Observed;
use crate::slo::{Slo, Subject};

/// The width of the windows of an objective that names none, in seconds.
pub const WINDOW_S: u64 = 5;
/// Windows are wider where few requests come, so that they can tell something; but not wider than
/// this, or they could not tell when.
const WIDEST_S: u64 = 30;

/// A time for which an objective was not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Excursion {
    /// The first second that ended a window in which it was not met.
    pub left_s: u64,
    /// The first second from which on it was met for a window; none: not before the end.
    pub back_s: Option<u64>,
}

/// Follows one objective, for one subject, through a run.
#[derive(Clone, Copy, Debug)]
pub struct Tracker<'a> {
    observed: &'a Observed<'a>,
    slo: &'a Slo,
    subject: Subject,
    window_s: u64,
}

impl<'a> Tracker<'a> {
    /// Of that objective and subject.
    #[must_use]
    pub fn new(observed: &'a Observed<'a>, slo: &'a Slo, subject: Subject) -> Self {
        let window_s = slo.over.map_or_else(|| width(observed, slo, subject), |over| over.as_secs().max(1));
        Self { observed, slo, subject, window_s }
    }

    /// Whether it is met in these seconds; none if they tell too little.
    #[must_use]
    pub fn holds(&self, seconds: Range<u64>) -> Option<bool> {
        self.observed.value(self.slo, self.subject, seconds).map(|value| self.slo.holds(value))
    }

    /// Whether it is met in the window that ends with `second`. In the first seconds of a fault that
    /// reaches back into the baseline: a window that were cut there would hold so little that chance
    /// broke it.
    #[must_use]
    pub fn trailing(&self, second: u64) -> Option<bool> {
        self.holds((second + 1).saturating_sub(self.window_s)..second + 1)
    }

    /// The window that begins with `second`.
    fn leading(&self, second: u64) -> Option<bool> {
        self.holds(second..second + self.window_s)
    }

    /// Its excursions within these seconds. One that lasted no longer than the objective's grace
    /// is none. It begins with the window that shows it and ends where a whole window is good again,
    /// so that neither end is smeared over the width of a window.
    #[must_use]
    pub fn excursions(&self, seconds: Range<u64>) -> Vec<Excursion> {
        self.follow(seconds.clone(), None, seconds.start)
    }

    /// Its excursions within these seconds, whatever was before them: one that is there already begins
    /// with the first of them.
    #[must_use]
    pub fn excursions_within(&self, seconds: Range<u64>) -> Vec<Excursion> {
        let there = (self.leading(seconds.start) == Some(false)).then_some(seconds.start);
        self.follow(seconds.clone(), there, seconds.start + self.window_s - 1)
    }

    /// Those that begin at `left_s`, if one does, and from the window on that ends with `from`.
    fn follow(&self, seconds: Range<u64>, mut left_s: Option<u64>, mut from: u64) -> Vec<Excursion> {
        let grace_s = self.slo.grace.map_or(0, |grace| grace.as_secs());
        // The last second that begins a whole window, and one more.
        let whole = (seconds.end + 1).saturating_sub(self.window_s);
        let mut found = Vec::new();
        let broken = |from| (from..seconds.end).find(|second| self.trailing(*second) == Some(false));
        while let Some(left_s) = left_s.take().or_else(|| broken(from)) {
            let back_s = (left_s + 1..whole).find(|second| self.leading(*second) == Some(true));
            if back_s.unwrap_or(seconds.end) - left_s > grace_s {
                found.push(Excursion { left_s, back_s });
            }
            let Some(back_s) = back_s else { break };
            // Windows that still hold seconds of this excursion begin no other.
            from = back_s + self.window_s - 1;
        }
        found
    }

    /// The first second from which on every window is good until the end of these seconds; none if
    /// the last one is not, or nothing can be told of any.
    #[must_use]
    pub fn settled(&self, seconds: Range<u64>) -> Option<u64> {
        let whole = (seconds.end + 1).saturating_sub(self.window_s);
        let mut settled = None;
        for second in (seconds.start..whole).rev() {
            match self.leading(second) {
                Some(false) => break,
                Some(true) => settled = Some(second),
                // Too little to tell: as the seconds behind it.
                None => {}
            }
        }
        settled
    }
}

/// So wide that an ordinary window holds half as much again as its indicator needs.
fn width(observed: &Observed<'_>, slo: &Slo, subject: Subject) -> u64 {
    let seconds = observed.phases.baseline_s..observed.phases.end_s;
    let length = seconds.end.saturating_sub(seconds.start);
    let offered = observed.offered(slo, subject, seconds);
    let wanted = slo.indicator.least() * 3 / 2 * length;
    let width = wanted.checked_div(offered).map_or(WINDOW_S, |width| (width + 1).clamp(WINDOW_S, WIDEST_S));
    // A window that is longer than the recovery could never show that it was one.
    let recovery_s = observed.phases.end_s.saturating_sub(observed.phases.recovery_s);
    if recovery_s == 0 { width } else { width.min(recovery_s) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::judge::{Phase, Phases};
    use crate::load::Class;
    use crate::outcome::{Fate, Outcome};
    use crate::series::Series;
    use crate::slo::Names;

    #[test]
    fn a_recovery_that_is_shorter_than_a_window_can_still_be_one() {
        let mut series = Series::default();
        for at in 0..20 * 40u64 {
            let intended = Duration::from_millis(at * 25);
            let sent = Some(intended);
            let done = intended + Duration::from_millis(10);
            series.record(&Outcome { intended, sent, done, endpoint: 0, tenant: 0, fate: Fate::Ok });
        }
        let names = Names { endpoints: vec![("GET /".into(), Class::Read)], tenants: vec![String::new()] };
        let phases = Phases { baseline_s: 0, fault_s: 13, recovery_s: 17, end_s: 20 };
        let slis = BTreeMap::new();
        let observed = Observed { names: &names, series: &series, slis: &slis, phases: &phases };
        let slo: Slo = "p99 < 50ms".parse().unwrap();
        let tracker = Tracker::new(&observed, &slo, Subject { endpoint: None, tenant: None });
        assert_eq!(tracker.settled(phases.of(Phase::Recovery)), Some(17));
    }
}
