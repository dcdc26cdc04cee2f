//! Statuses of answers, and ranges of them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A status of an answer, or several in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    pub(super) first: u16,
    pub(super) last: u16,
}

impl StatusRange {
    pub(super) fn holds(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl FromStr for StatusRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..600).contains(status));
        let range = match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(class), _) => class
                .parse::<u16>()
                .ok()
                .filter(|class| (1..6).contains(class))
                .map(|class| (class * 100, class * 100 + 99)),
            (None, Some((first, last))) => {
                number(first).zip(number(last)).filter(|(first, last)| first <= last)
            }
            (None, None) => number(text).map(|status| (status, status)),
        };
        let (first, last) =
            range.ok_or_else(|| format!("`{text}` is no status: give 100 to 599, \"5xx\" or \"500-504\""))?;
        Ok(Self { first, last })
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else if self.first.is_multiple_of(100) && self.last == self.first + 99 {
            write!(f, "{}xx", self.first / 100)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl JsonSchema for StatusRange {
    fn schema_name() -> Cow<'static, str> {
        "StatusRange".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 100,
            "maximum": 599,
            "pattern": "^[1-5]([0-9]{2}(-[1-5][0-9]{2})?|xx)$",
        })
    }
}
