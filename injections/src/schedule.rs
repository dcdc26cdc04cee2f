//! Injections that come again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use cronexpr::Crontab;
use jiff::Timestamp;
use sabot_toxics::Invalid;
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::event::Actor;
use crate::request::{Request, Selector};

/// An injection that comes again, until somebody removes it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Names it.
    pub name: String,
    /// When.
    pub when: Recurrence,
    /// What. Its `queue` says whether one that cannot begin waits or is left out.
    pub injection: Request,
    /// Whose it is: as them it asks.
    pub by: Actor,
    /// What they may touch.
    #[serde(default, skip_serializing_if = "Selector::is_empty")]
    pub scope: Selector,
}

/// Times that come again: `@every 6h`, or five fields of cron and a time zone, `30 2 * * MON-FRI Europe/Berlin`.
#[derive(Clone, Debug)]
pub struct Recurrence {
    text: String,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Every(Duration),
    Cron(Box<Crontab>),
}

/// What comes more often leaves the system no time to be well.
const SHORTEST: Duration = Duration::from_secs(1);

/// How times are written.
const USAGE: &str = "write `@every 6h` or five fields of cron, such as `30 2 * * MON-FRI Europe/Berlin`";

impl Recurrence {
    /// That it has no time after `after_ms`, if so, and what to write instead.
    pub(crate) fn unless_it_comes(&self, after_ms: u64) -> Result<(), Invalid> {
        match self.next_after(after_ms) {
            Some(_) => Ok(()),
            None => {
                let message = format!("`{self}` never comes, as no day has all that it asks for: {USAGE}");
                Err(Invalid::new("when", message))
            }
        }
    }

    /// Whether its times are those of a clock. Those of `@every` are not: they count from any moment, so of
    /// themselves they are at none.
    #[must_use]
    pub fn is_of_the_clock(&self) -> bool {
        matches!(self.rule, Rule::Cron(_))
    }

    /// The first time after `after_ms`, in milliseconds since 1970; none if it never comes.
    #[must_use]
    pub fn next_after(&self, after_ms: u64) -> Option<u64> {
        match &self.rule {
            Rule::Every(span) => after_ms.checked_add(u64::try_from(span.as_millis()).ok()?),
            Rule::Cron(cron) => {
                let after = Timestamp::from_millisecond(i64::try_from(after_ms).ok()?).ok()?;
                let next = cron.find_next(after).ok()?;
                u64::try_from(next.timestamp().as_millisecond()).ok()
            }
        }
    }
}

impl FromStr for Recurrence {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let invalid = |message: String| Invalid::new("when", message);
        let rule = if let Some(span) = text.strip_prefix("@every") {
            let span = span.trim();
            let parsed: jiff::SignedDuration = span.parse().map_err(|_| {
                invalid(format!("`{span}` is no time: write a number and a unit, such as `@every 6h`"))
            })?;
            let parsed = Duration::try_from(parsed).unwrap_or_default();
            if parsed < SHORTEST {
                return Err(invalid("must be at least `@every 1s`".to_owned()));
            }
            Rule::Every(parsed)
        } else {
            // Without a zone it is UTC's: what a server far away can be sure of.
            let fields = text.split_whitespace().count();
            let zoned = if fields == 5 { format!("{text} UTC") } else { text.to_owned() };
            let cron = cronexpr::parse_crontab(&zoned).map_err(|error| {
                let why = in_one_line(&error.to_string());
                invalid(format!("`{text}` cannot be read ({why}): {USAGE}"))
            })?;
            Rule::Cron(Box::new(cron))
        };
        Ok(Self { text: text.to_owned(), rule })
    }
}

/// The parser's reason stands behind a `^`, below the place in the text that it is about.
fn in_one_line(error: &str) -> String {
    match error.lines().find_map(|line| line.split_once("^ ")) {
        Some((before, reason)) => format!("at character {}: {reason}", before.chars().count() + 1),
        None => error.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

impl PartialEq for Recurrence {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Recurrence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Recurrence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: Invalid| de::Error::custom(error.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        text.parse::<Timestamp>().unwrap().as_millisecond() as u64
    }

    #[test]
    fn times_come_again() {
        for (when, after, next) in [
            ("@every 6h", "2026-03-01T00:00:00Z", "2026-03-01T06:00:00Z"),
            ("@every 90s", "2026-03-01T00:00:00Z", "2026-03-01T00:01:30Z"),
            ("30 2 * * *", "2026-03-01T02:30:00Z", "2026-03-02T02:30:00Z"),
            // A Saturday; the next Monday is in summer time.
            ("30 2 * * MON-FRI Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"),
        ] {
            let parsed: Recurrence = when.parse().unwrap();
            assert_eq!(parsed.next_after(at(after)), Some(at(next)), "{when}");
            assert_eq!(parsed.is_of_the_clock(), !when.starts_with("@every"), "{when}");
        }
    }

    #[test]
    fn what_is_no_time_is_told() {
        for (when, told) in [
            ("@every", "is no time"),
            ("@every soon", "is no time"),
            ("@every 10ms", "at least"),
            ("@hourly", "cannot be read"),
            ("61 * * * *", "cannot be read (at character 1: "),
            ("0 25 * * *", "cannot be read (at character 3: "),
            ("* * * * * Mars/Olympus", "cannot be read"),
            ("", "cannot be read"),
        ] {
            let error = when.parse::<Recurrence>().unwrap_err();
            assert!(error.message.contains(told), "{when}: {error}");
            assert!(!error.message.contains(['\n', '^']), "{error}");
        }
    }
}
