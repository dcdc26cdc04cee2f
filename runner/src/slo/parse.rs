//! Reads an objective.

use std::str::FromStr;

use super::value::{self, Unit};
use super::{Comparison, Endpoints, Indicator, Scope, Slo, Tenants};

/// An objective that cannot be read: what is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no objective: {reason}")]
pub struct ParseError {
    text: String,
    reason: String,
}

/// `<=` before `<`: the longer sign is the one that is meant.
const SIGNS: [(&str, Comparison); 4] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Less),
    (">", Comparison::More),
];

const SHAPE: &str = "write it as `[SCOPE] INDICATOR < VALUE`, such as `POST /orders p99 < 250ms`";
const INDICATORS: &str =
    "error_rate, availability, throughput, mean, a percentile such as p99, or a declared SLI";

impl FromStr for Slo {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        read(text.trim()).map_err(|reason| ParseError { text: text.trim().to_owned(), reason })
    }
}

fn read(text: &str) -> Result<Slo, String> {
    let (left, comparison, right) = split(text).ok_or_else(|| format!("it compares nothing; {SHAPE}"))?;
    let words: Vec<&str> = left.split_whitespace().collect();
    let (name, scope) = words.split_last().ok_or_else(|| format!("it names no indicator; {SHAPE}"))?;
    let indicator = indicator(name)?;
    let scope = scope_of(scope)?;
    if matches!(indicator, Indicator::Sli(_)) && scope != Scope::default() {
        return Err(format!("`{name}` is none of {INDICATORS}; and an SLI of one's own has no scope"));
    }
    let (bound, over, grace) = tail(right)?;
    let bound = value::read(bound, indicator.unit()).map_err(|wanted| match &indicator {
        // A unit says that an indicator of the load was meant.
        Indicator::Sli(_) => format!("`{name}` is none of {INDICATORS}, whose value is a plain number"),
        _ => format!("`{bound}` must be {wanted} for {name}"),
    })?;
    never(&indicator, comparison, bound)?;
    Ok(Slo { text: text.to_owned(), scope, indicator, comparison, bound, over, grace })
}

/// Refuses what no number could ever meet.
fn never(indicator: &Indicator, comparison: Comparison, bound: f64) -> Result<(), String> {
    match (indicator.unit(), comparison) {
        (Unit::Number, _) => Ok(()),
        (_, Comparison::Less) if bound <= 0.0 => Err("nothing is below 0; write <= 0".to_owned()),
        (Unit::Share, Comparison::More) if bound >= 1.0 => {
            Err("no share is above 100 %; write >= 100%".to_owned())
        }
        _ => Ok(()),
    }
}

/// The first comparison that stands by itself: a path may hold such a sign, but not between blanks.
fn split(text: &str) -> Option<(&str, Comparison, &str)> {
    let at = |(sign, comparison): (&'static str, Comparison)| {
        text.find(&format!(" {sign} ")).map(|at| (at, sign.len() + 2, comparison))
    };
    let spaced = SIGNS.into_iter().filter_map(at).min_by_key(|(at, ..)| *at);
    // Without blanks (`p99<250ms`) the last sign is the one.
    let tight = || {
        let at = text.rfind(['<', '>'])?;
        let (sign, comparison) = SIGNS.into_iter().find(|(sign, _)| text[at..].starts_with(sign))?;
        Some((at, sign.len(), comparison))
    };
    let (at, length, comparison) = spaced.or_else(tight)?;
    Some((text[..at].trim(), comparison, text[at + length..].trim()))
}

fn indicator(name: &str) -> Result<Indicator, String> {
    match name {
        "error_rate" | "errors" => Ok(Indicator::ErrorRate),
        "availability" | "success_rate" => Ok(Indicator::Availability),
        "throughput" => Ok(Indicator::Throughput),
        "mean" => Ok(Indicator::Mean),
        _ => match name.strip_prefix('p').map(percentile) {
            Some(Some(quantile)) => Ok(Indicator::Quantile(quantile)),
            _ if is_name(name) => Ok(Indicator::Sli(name.to_owned())),
            _ => Err(format!("`{name}` is no indicator; there are {INDICATORS}")),
        },
    }
}

/// `99`, `99.9`, and `999` as people say it; a quantile, 0 to 1.
fn percentile(digits: &str) -> Option<f64> {
    let (whole, fraction) = match digits.split_once('.') {
        Some(parts) => parts,
        None if digits == "100" => return Some(1.0),
        None if digits.starts_with('9') && digits.is_ascii() => digits.split_at(digits.len().min(2)),
        None => (digits, ""),
    };
    let numeric = |text: &str| text.len() <= 6 && text.chars().all(|c| c.is_ascii_digit());
    if !(1..=2).contains(&whole.len()) || !numeric(whole) || !numeric(fraction) {
        return None;
    }
    // Digits over a power of ten are the nearest double; a quotient of percents is not.
    let places = i32::try_from(2 + fraction.len()).ok()?;
    Some(format!("{whole}{fraction}").parse::<f64>().ok()? / 10f64.powi(places))
}

/// A name that an SLI can have.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn scope_of(words: &[&str]) -> Result<Scope, String> {
    let mut scope = Scope::default();
    let mut endpoint: Vec<&str> = Vec::new();
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let tenants = match (*word, rest.peek()) {
            ("each", Some(&&"tenant")) => {
                rest.next();
                Tenants::Each
            }
            _ => match word.strip_prefix("tenant=") {
                Some("") => return Err("`tenant=` names no tenant".to_owned()),
                Some(name) => Tenants::Named(name.to_owned()),
                None => {
                    endpoint.push(word);
                    continue;
                }
            },
        };
        if scope.tenants != Tenants::Together {
            return Err("it names tenants twice".to_owned());
        }
        scope.tenants = tenants;
    }
    scope.endpoints = match endpoint.as_slice() {
        [] | ["all"] => Endpoints::All,
        ["reads"] => Endpoints::Reads,
        ["writes"] => Endpoints::Writes,
        name => Endpoints::Named(name.join(" ")),
    };
    Ok(scope)
}

/// The value, and what `over` and `for` say.
fn tail(right: &str) -> Result<(&str, Option<std::time::Duration>, Option<std::time::Duration>), String> {
    let value_end =
        [" over ", " for "].iter().filter_map(|word| right.find(word)).min().unwrap_or(right.len());
    let (bound, rest) = right.split_at(value_end);
    let (mut over, mut grace) = (None, None);
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        let (what, place) = match word {
            "over" => ("over", &mut over),
            "for" => ("for", &mut grace),
            other => return Err(format!("`{other}` is neither `over TIME` nor `for TIME`")),
        };
        let time = words.next().and_then(value::duration).filter(|time| time.as_secs_f64() >= 1.0);
        let time =
            time.ok_or_else(|| format!("`{what}` needs a time of a second or more, such as `{what} 10s`"))?;
        if place.replace(time).is_some() {
            return Err(format!("it says `{what}` twice"));
        }
    }
    Ok((bound.trim(), over, grace))
}

impl Indicator {
    /// What its numbers are.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self {
            Self::ErrorRate | Self::Availability => Unit::Share,
            Self::Throughput => Unit::PerSecond,
            Self::Quantile(_) | Self::Mean => Unit::Seconds,
            Self::Sli(_) => Unit::Number,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        let named = |name: &str| Endpoints::Named(name.to_owned());
        for (text, endpoints, indicator, comparison, bound) in [
            (
                "POST /orders p99 < 250ms",
                named("POST /orders"),
                Indicator::Quantile(0.99),
                Comparison::Less,
                0.25,
            ),
            ("reads error_rate < 1%", Endpoints::Reads, Indicator::ErrorRate, Comparison::Less, 0.01),
            (
                "writes availability >= 99.9%",
                Endpoints::Writes,
                Indicator::Availability,
                Comparison::AtLeast,
                0.999,
            ),
            ("error_rate<=0.01", Endpoints::All, Indicator::ErrorRate, Comparison::AtMost, 0.01),
            ("all p999 < 1.5s", Endpoints::All, Indicator::Quantile(0.999), Comparison::Less, 1.5),
            ("p99.9 < 800us", Endpoints::All, Indicator::Quantile(0.999), Comparison::Less, 0.0008),
            ("throughput > 100/s", Endpoints::All, Indicator::Throughput, Comparison::More, 100.0),
            ("GET /a<b mean < 2ms", named("GET /a<b"), Indicator::Mean, Comparison::Less, 0.002),
            ("replica_lag < 5", Endpoints::All, Indicator::Sli("replica_lag".into()), Comparison::Less, 5.0),
        ] {
            let slo: Slo = text.parse().unwrap();
            assert_eq!(slo.scope.endpoints, endpoints, "{text}");
            assert_eq!((&slo.indicator, slo.comparison), (&indicator, comparison), "{text}");
            assert!((slo.bound - bound).abs() < 1e-12, "{text}: {}", slo.bound);
            assert_eq!((slo.over, slo.grace), (None, None), "{text}");
        }
    }

    #[test]
    fn windows_grace_and_tenants_are_read() {
        let slo: Slo = "reads each tenant error_rate > 1% over 10s for 5s".parse().unwrap();
        assert_eq!((slo.over, slo.grace), (Some(Duration::from_secs(10)), Some(Duration::from_secs(5))));
        assert_eq!(slo.scope.tenants, Tenants::Each);
        let slo: Slo = "tenant=acme POST /orders p50 < 1s".parse().unwrap();
        assert_eq!(slo.scope.tenants, Tenants::Named("acme".into()));
        assert_eq!(slo.scope.endpoints, Endpoints::Named("POST /orders".into()));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_remedy() {
        for (text, told) in [
            ("POST /orders is fast", "compares nothing"),
            ("< 250ms", "names no indicator"),
            ("reads p99 < 250", "a time with its unit"),
            ("reads error_rate < 250ms", "a share such as"),
            ("reads error_rate < 101%", "a share such as"),
            ("reads replica_lag < 5", "has no scope"),
            ("p101 < 1s", "`p101` is none of error_rate"),
            ("p99 < 1s over 10", "`over` needs a time"),
            ("p99 < 1s for 5s for 6s", "twice"),
            ("tenant= p99 < 1s", "names no tenant"),
            ("each tenant tenant=a p99 < 1s", "twice"),
        ] {
            let error = text.parse::<Slo>().unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
