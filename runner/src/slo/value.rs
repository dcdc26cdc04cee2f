//! Numbers with units, as objectives have them.

use std::time::Duration;

/// What the numbers of an indicator are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share, 0 to 1; written `1%` or `0.01`.
    Share,
    /// Seconds; written with a unit, such as `250ms`.
    Seconds,
    /// A second; written `100/s`.
    PerSecond,
    /// A number of its own.
    Number,
}

/// Reads a value of that unit; the error completes "must be …".
pub(super) fn read(text: &str, unit: Unit) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    match unit {
        Unit::Share => {
            let share = match text.strip_suffix('%') {
                Some(percent) => number(percent).map(|percent| percent / 100.0),
                None => number(text),
            };
            share.filter(|share| (0.0..=1.0).contains(share)).ok_or("a share such as `1%` or `0.01`".into())
        }
        Unit::Seconds => duration(text)
            .map(|duration| duration.as_secs_f64())
            .ok_or("a time with its unit, such as `250ms` or `1.5s`".into()),
        Unit::PerSecond => text
            .strip_suffix("/s")
            .and_then(number)
            .filter(|rate| *rate >= 0.0)
            .ok_or("a rate such as `100/s`".into()),
        Unit::Number => number(text).ok_or("a number".into()),
    }
}

/// Reads a time such as `250ms`, `1.5s`, `2m`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

/// A value of that unit for people, with as many digits as tell something.
#[must_use]
pub fn format_value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format!("{} %", digits(value * 100.0, 3)),
        Unit::Seconds if value < 1e-3 => format!("{} µs", digits(value * 1e6, 0)),
        Unit::Seconds if value < 1.0 => format!("{} ms", digits(value * 1e3, 1)),
        Unit::Seconds => format!("{} s", digits(value, 2)),
        Unit::PerSecond => format!("{}/s", digits(value, 1)),
        Unit::Number => digits(value, 3),
    }
}

/// At most that many places after the point, without zeros at the end.
fn digits(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
