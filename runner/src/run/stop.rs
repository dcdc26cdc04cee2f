//! The conditions that end a run at once.

use std::collections::BTreeMap;

use crate::judge::track::WINDOW_S;
use crate::judge::{Observed, Phases, Samples};
use crate::series::Series;
use crate::slo::{Names, Slo};

/// Watches the conditions, second by second, on requests by the second in which they ended: what is
/// known now.
pub(super) struct StopConditions<'a> {
    conditions: Vec<(&'a Slo, u64)>,
}

impl<'a> StopConditions<'a> {
    pub(super) fn new(conditions: &'a [Slo]) -> Self {
        Self { conditions: conditions.iter().map(|condition| (condition, 0)).collect() }
    }

    /// The reason to stop, once a condition has been true for its grace; `second` has just passed.
    pub(super) fn check(
        &mut self,
        names: &Names,
        ended: &Series,
        slis: &BTreeMap<String, Samples>,
        second: u64,
    ) -> Option<String> {
        let phases = Phases { end_s: second + 1, ..Phases::default() };
        let observed = Observed { names, series: ended, slis, phases: &phases };
        for (condition, true_for_s) in &mut self.conditions {
            let window_s = condition.over.map_or(WINDOW_S, |over| over.as_secs());
            let seconds = (second + 1).saturating_sub(window_s)..second + 1;
            let values =
                condition.subjects(names).into_iter().map(|s| observed.value(condition, s, seconds.clone()));
            let worst = values.flatten().find(|value| condition.holds(*value));
            *true_for_s = if worst.is_some() { *true_for_s + 1 } else { 0 };
            let grace_s = condition.grace.map_or(1, |grace| grace.as_secs());
            if let Some(value) = worst
                && *true_for_s >= grace_s
            {
                let value = crate::slo::format_value(value, condition.indicator.unit());
                return Some(format!("The stop condition `{condition}` came true at {second} s: {value}."));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::Class;
    use crate::outcome::{Fate, Outcome};

    #[test]
    fn a_condition_stops_when_it_was_true_for_its_grace() {
        let names = Names { endpoints: vec![("GET /".into(), Class::Read)], tenants: vec![String::new()] };
        let condition: Slo = "reads error_rate > 10% over 2s for 3s".parse().unwrap();
        let conditions = [condition];
        let mut watched = StopConditions::new(&conditions);
        let mut series = Series::default();
        let mut stopped = None;
        for second in 0..20u64 {
            // Bad from second 5 on, but good again in second 7: the grace begins anew.
            let bad = second >= 5 && !(7..9).contains(&second);
            for n in 0..20u64 {
                let at = Duration::from_secs(second) + Duration::from_millis(n);
                let fate = if bad { Fate::Timeout } else { Fate::Ok };
                series.record(&Outcome {
                    intended: at,
                    sent: Some(at),
                    done: at,
                    endpoint: 0,
                    tenant: 0,
                    fate,
                });
            }
            if let Some(reason) = watched.check(&names, &series, &BTreeMap::new(), second) {
                stopped = Some((second, reason));
                break;
            }
        }
        let (second, reason) = stopped.unwrap();
        // True at 5, 6 and 7 (its window still holds 6): the third second of grace.
        assert_eq!(second, 7, "{reason}");
        assert!(reason.contains("error_rate > 10%") && reason.contains("50 %"), "{reason}");
    }
}
