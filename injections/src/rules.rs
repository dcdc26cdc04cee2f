//! What the server allows, whoever asks: limits, approvals, and windows in which nothing may run.

use std::time::Duration;

use jiff::Timestamp;
use sabot_toxics::Invalid;

use crate::request::Labels;
use crate::schedule::Recurrence;

/// What the server allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// No injection may be longer.
    pub longest: Duration,
    /// How long an injection may wait for its approval, and how long for its place.
    pub patience: Duration,
    /// How many may be pending, approved or running at one time.
    pub most: usize,
    /// What takes a second person.
    pub approval: Approval,
    /// When nothing may run.
    pub windows: Vec<Closed>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            longest: Duration::from_secs(3600),
            patience: Duration::from_secs(3600),
            most: 10_000,
            approval: Approval::default(),
            windows: Vec::new(),
        }
    }
}

/// What takes a second person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// More targets than this; none is no limit.
    pub above_targets: Option<usize>,
    /// A target whose label `env` is one of these.
    pub environments: Vec<String>,
}

impl Default for Approval {
    fn default() -> Self {
        Self { above_targets: None, environments: vec!["production".to_owned()] }
    }
}

impl Approval {
    /// Why an injection that hits these takes a second person; none if it does not.
    pub(crate) fn reason<'a>(&self, targets: impl Iterator<Item = (&'a str, &'a Labels)>) -> Option<String> {
        let mut count = 0;
        for (proxy, labels) in targets {
            count += 1;
            let is_serious = |env: &&String| self.environments.iter().any(|it| it.eq_ignore_ascii_case(env));
            if let Some(env) = labels.get("env").filter(is_serious) {
                return Some(format!("{proxy} has env={env}"));
            }
        }
        let above = self.above_targets.filter(|most| count > *most)?;
        Some(format!("it hits {count} proxies, more than {above}"))
    }
}

/// A time in which nothing may run.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// Why.
    pub reason: String,
    /// When.
    pub span: Span,
}

/// When a window is.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// Once, in milliseconds since 1970.
    Once {
        /// Its beginning.
        from_ms: u64,
        /// Its end.
        to_ms: u64,
    },
    /// Again and again.
    Again {
        /// Its beginnings: times [of the clock](Recurrence::is_of_the_clock), or it is never, or always.
        when: Recurrence,
        /// Its length.
        length: Duration,
    },
}

impl Closed {
    /// Until when it lasts, if it is `now_ms` that it lasts.
    fn until(&self, now_ms: u64) -> Option<u64> {
        match &self.span {
            Span::Once { from_ms, to_ms } => (*from_ms..*to_ms).contains(&now_ms).then_some(*to_ms),
            Span::Again { when, length } => {
                let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
                // Of those that last now the first that began says so; the next may go on from there.
                let began = when.next_after(now_ms.checked_sub(length)?)?;
                (began <= now_ms).then(|| began.saturating_add(length))
            }
        }
    }

    /// When it begins next.
    fn begins(&self, now_ms: u64) -> Option<u64> {
        match &self.span {
            Span::Once { from_ms, .. } => (*from_ms > now_ms).then_some(*from_ms),
            Span::Again { when, .. } => when.next_after(now_ms),
        }
    }
}

impl Rules {
    /// Why nothing may run now, and until when.
    #[must_use]
    pub fn closed(&self, now_ms: u64) -> Option<(&str, u64)> {
        let lasting = |closed: &'_ Closed| closed.until(now_ms);
        let all = self.windows.iter().filter_map(|closed| Some((closed.reason.as_str(), lasting(closed)?)));
        all.max_by_key(|(_, until)| *until)
    }

    /// When that may change next.
    pub(crate) fn turn(&self, now_ms: u64) -> Option<u64> {
        self.windows.iter().filter_map(|closed| closed.until(now_ms).or_else(|| closed.begins(now_ms))).min()
    }
}

/// A moment as people write it: RFC 3339.
///
/// # Errors
/// It is none.
pub fn read_moment(field: &str, text: &str) -> Result<u64, Invalid> {
    let parsed: Option<Timestamp> = text.trim().parse().ok();
    let ms = parsed.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    ms.ok_or_else(|| {
        Invalid::new(field, format!("`{text}` is no time: write it as 2026-12-24T12:00:00+01:00"))
    })
}

/// A moment as people read it: RFC 3339 in UTC.
#[must_use]
pub fn moment(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| format!("{ms} ms"), |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        read_moment("", text).unwrap()
    }

    #[test]
    fn nothing_may_run_in_a_window() {
        let once = Span::Once { from_ms: at("2026-12-20T00:00:00Z"), to_ms: at("2027-01-03T00:00:00Z") };
        let when = "0 9 * * MON-FRI Europe/Berlin".parse().unwrap();
        let again = Span::Again { when, length: Duration::from_secs(8 * 3600) };
        let windows = [("freeze", once), ("business hours", again)];
        let windows = windows.map(|(reason, span)| Closed { reason: reason.to_owned(), span });
        let rules = Rules { windows: windows.to_vec(), ..Rules::default() };
        for (now, closed, turn) in [
            // A Saturday.
            ("2026-11-21T10:00:00Z", None, "2026-11-23T08:00:00Z"),
            ("2026-11-23T07:59:59.999Z", None, "2026-11-23T08:00:00Z"),
            (
                "2026-11-23T08:00:00Z",
                Some(("business hours", "2026-11-23T16:00:00Z")),
                "2026-11-23T16:00:00Z",
            ),
            ("2026-11-23T16:00:00Z", None, "2026-11-24T08:00:00Z"),
            ("2026-12-24T12:00:00Z", Some(("freeze", "2027-01-03T00:00:00Z")), "2026-12-24T16:00:00Z"),
        ] {
            let expected = closed.map(|(reason, until)| (reason, at(until)));
            assert_eq!(rules.closed(at(now)), expected, "{now}");
            assert_eq!(rules.turn(at(now)), Some(at(turn)), "{now}");
        }
        assert_eq!(Rules::default().turn(0), None);
    }

    #[test]
    fn a_second_person_is_asked_for_what_is_large_or_serious() {
        let approval = Approval { above_targets: Some(2), ..Approval::default() };
        let plain = Labels::new();
        let production = Labels::from([("env".to_owned(), "Production".to_owned())]);
        let two = [("a", &plain), ("b", &plain)];
        assert_eq!(approval.reason(two.into_iter()), None);
        assert_eq!(approval.reason([("a", &production)].into_iter()).unwrap(), "a has env=Production");
        let three = two.into_iter().chain([("c", &plain)]);
        assert_eq!(approval.reason(three).unwrap(), "it hits 3 proxies, more than 2");
    }
}
