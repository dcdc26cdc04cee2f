//! What watches one thing while a fault is on: when a breach has lasted too long.

use std::time::Duration;

use crate::injection::Breach;
use crate::request::SteadyState;

/// Something that has to stay true.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// What has to be true of which indicator, and for how long it may not be.
    pub objective: SteadyState,
    /// Where the values come from, in words.
    pub source: String,
}

/// A guard and what it has seen; times by the clock that nobody sets.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    guard: Guard,
    broken_since: Option<u64>,
    missing_since: Option<u64>,
    last: Option<f64>,
    /// Why the last value could not be read.
    missing: Option<String>,
}

impl Watch {
    /// From `now` on; until the first value there is no data.
    pub(super) fn new(guard: Guard, now: u64) -> Self {
        Self { guard, broken_since: None, missing_since: Some(now), last: None, missing: None }
    }

    /// A value was read, or could not be, and why.
    pub(super) fn read(&mut self, now: u64, value: Result<f64, String>) {
        // What is no number says nothing.
        let number =
            |value: f64| if value.is_finite() { Ok(value) } else { Err(format!("{value} is no number")) };
        let value = match value.and_then(number) {
            Ok(value) => value,
            Err(why) => {
                // What was broken is not mended by silence.
                self.missing_since.get_or_insert(now);
                self.missing = Some(fit_to_keep(&why));
                return;
            }
        };
        self.missing_since = None;
        self.last = Some(value);
        if self.guard.objective.is_met(value) {
            self.broken_since = None;
        } else {
            self.broken_since.get_or_insert(now);
        }
    }

    /// When it ends the fault unless something good is read before.
    pub(super) fn due(&self) -> Option<u64> {
        let objective = &self.guard.objective;
        let broken = self.broken_since.map(|since| later(since, objective.grace()));
        let missing = self.missing_since.map(|since| later(since, objective.grace_without_data()));
        broken.into_iter().chain(missing).min()
    }

    /// What was broken for too long, and why that is enough; none if nothing was.
    pub(super) fn breach(&self, now: u64) -> Option<(String, Breach)> {
        if self.due()? > now {
            return None;
        }
        let SteadyState { slo, min, max, .. } = &self.guard.objective;
        let objective = match (min, max) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (None, None) => String::new(),
        };
        let broken = self.broken_since.filter(|since| later(*since, self.guard.objective.grace()) <= now);
        let since = broken.or(self.missing_since)?;
        let seconds = now.saturating_sub(since) as f64 / 1e3;
        let value = broken.and(self.last);
        let reason = match value {
            Some(value) => format!("{slo} was {value:.4} and had to be {objective}: for {seconds:.1} s"),
            None => {
                let why = self.missing.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                format!("{slo} gave no data for {seconds:.1} s{why}")
            }
        };
        let source = self.guard.source.clone();
        Some((reason, Breach { slo: slo.clone(), source, value, objective, seconds }))
    }
}

/// So many characters of why there is no data are kept for ever.
const KEPT: usize = 160;

/// On one line, no longer than that, and of URLs no more than the host: the rest may be a secret.
fn fit_to_keep(why: &str) -> String {
    let words = why.split_whitespace().map(|word| match word.split_once("://") {
        Some((before, rest)) => {
            // The authority ends here at the latest, and who asks stands before its last `@`.
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{before}://{host}")
        }
        None => word.to_owned(),
    });
    let kept = words.collect::<Vec<_>>().join(" ");
    match kept.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", &kept[..end]),
        None => kept,
    }
}

pub(super) fn later(since: u64, span: Duration) -> u64 {
    since.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTIVE: SteadyState = SteadyState {
        slo: String::new(),
        min: Some(0.995),
        max: None,
        abort_after: 10.0,
        abort_without_data_after: Some(30.0),
    };

    /// When it ends the fault, if at all, with these values at these seconds.
    fn ends(readings: &[(u64, Option<f64>)]) -> Option<u64> {
        let mut watch = Watch::new(Guard { objective: OBJECTIVE, source: String::new() }, 0);
        let mut readings = readings.iter().peekable();
        for second in 0..100 {
            while let Some((_, value)) = readings.next_if(|(at, _)| *at == second) {
                watch.read(second * 1000, value.ok_or_else(|| "nobody answers".to_owned()));
            }
            if watch.breach(second * 1000).is_some() {
                assert!(watch.due().unwrap() <= second * 1000);
                return Some(second);
            }
        }
        None
    }

    #[test]
    fn a_breach_ends_it_when_it_has_lasted() {
        let (good, bad, none) = (Some(1.0), Some(0.9), None);
        for (readings, expected) in [
            (vec![(0, good)], None),
            (vec![(1, bad)], Some(11)),
            // The limit itself is fine.
            (vec![(1, Some(0.995))], None),
            // It mends itself, and breaks again.
            (vec![(1, bad), (9, good), (12, bad)], Some(22)),
            (vec![(1, bad), (5, bad), (10, bad)], Some(11)),
            // Silence is a breach of its own, later.
            (vec![], Some(30)),
            (vec![(5, good), (6, none), (20, none)], Some(36)),
            (vec![(5, good), (6, none), (20, good)], None),
            // Silence mends nothing.
            (vec![(1, bad), (2, none)], Some(11)),
            (vec![(1, Some(f64::NAN))], Some(30)),
        ] {
            assert_eq!(ends(&readings), expected, "{readings:?}");
        }
    }

    #[test]
    fn what_was_broken_is_told() {
        let objective = SteadyState { slo: "writes".to_owned(), ..OBJECTIVE };
        let mut watch = Watch::new(Guard { objective, source: "the proxy".to_owned() }, 0);
        let (told, breach) = watch.breach(30_000).unwrap();
        assert_eq!((told.as_str(), breach.value), ("writes gave no data for 30.0 s", None));
        watch.read(500, Err("nobody answers".to_owned()));
        watch.read(700, Ok(f64::NAN));
        let (told, _) = watch.breach(30_000).unwrap();
        assert_eq!(told, "writes gave no data for 30.0 s: NaN is no number");
        watch.read(1000, Ok(0.5));
        let (told, breach) = watch.breach(12_000).unwrap();
        assert_eq!(told, "writes was 0.5000 and had to be at least 0.995: for 11.0 s");
        assert_eq!((breach.value, breach.seconds), (Some(0.5), 11.0));
    }

    #[test]
    fn why_there_is_no_data_is_short_and_holds_no_secret() {
        for (why, kept) in [
            ("connection refused", "connection refused"),
            ("it printed `a\n  b`", "it printed `a b`"),
            ("GET http://ann:pass@host:9090/token?key=1: refused", "GET http://host:9090 refused"),
            ("`https://a@b@host` fails", "`https://host` fails"),
        ] {
            assert_eq!(fit_to_keep(why), kept);
        }
        assert_eq!(fit_to_keep(&"é".repeat(1000)), format!("{}…", "é".repeat(KEPT)));
    }
}
