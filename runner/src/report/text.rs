//! Numbers and verdicts in words, the same in every report.

use crate::judge::{Excursion, Judgement, Objective, Phase, Recovery, Verdict};
use crate::record::FaultRecord;
use crate::slo::{Slo, format_value};

/// What stands where nothing was measured.
pub(super) const NOTHING: &str = "–";

/// The phases that are compared with each other.
pub(super) const PHASES: [Phase; 3] = [Phase::Baseline, Phase::Fault, Phase::Recovery];

/// Milliseconds with three digits: `4.21 ms`, `421 ms`, `4.21 s`.
pub(super) fn millis(ms: f64) -> String {
    if rounds_to_thousand(ms) { format!("{} s", digits(ms / 1e3)) } else { format!("{} ms", digits(ms)) }
}

/// The same on an axis: a round number, without zeros at its end.
pub(super) fn axis_millis(ms: f64) -> String {
    let (value, unit) = if rounds_to_thousand(ms) { (ms / 1e3, "s") } else { (ms, "ms") };
    format!("{} {unit}", trimmed(format!("{value:.3}")))
}

fn rounds_to_thousand(ms: f64) -> bool {
    ms >= 999.5
}

/// A share (0 to 1) in percent. What is not nothing does not read as nothing, nor as everything.
pub(super) fn share(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p > 0.0 && p < 0.01 => "< 0.01 %".to_owned(),
        p if (99.95..100.0).contains(&p) => "> 99.9 %".to_owned(),
        p if p < 9.995 => format!("{} %", trimmed(format!("{p:.2}"))),
        p => format!("{} %", trimmed(format!("{p:.1}"))),
    }
}

/// A rate a second.
pub(super) fn rate(per_s: f64) -> String {
    let text = if per_s < 99.95 { format!("{per_s:.1}") } else { format!("{per_s:.0}") };
    format!("{}/s", trimmed(text))
}

/// A time of whole seconds or more.
pub(super) fn seconds(s: f64) -> String {
    match s {
        s if s < 60.0 => format!("{} s", trimmed(format!("{s:.1}"))),
        s if s < 3600.0 => format!("{} min {} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {} min", s as u64 / 3600, s as u64 % 3600 / 60),
    }
}

/// `1 endpoint`, `2 endpoints`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// From when to when an objective was not met.
pub(super) fn excursion(excursion: &Excursion) -> String {
    match excursion.back_s {
        Some(back_s) => format!("{}–{back_s} s", excursion.left_s),
        None => format!("{} s to the end", excursion.left_s),
    }
}

/// How much `b` differs from `a`, as a share of `a`; none if that says nothing.
pub(super) fn difference(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    let (a, b) = (a?, b?);
    (a != 0.0).then(|| b / a - 1.0)
}

/// `+12 %`, `−3.4 %`, `same`.
pub(super) fn signed(difference: f64) -> String {
    let percent = difference.abs() * 100.0;
    if percent < 0.05 {
        return "same".to_owned();
    }
    let sign = if difference < 0.0 { '−' } else { '+' };
    let text = if percent < 9.95 { trimmed(format!("{percent:.1}")) } else { format!("{percent:.0}") };
    format!("{sign}{text} %")
}

/// The attributes of a fault with their units: `latency = 200 ms, jitter = 20 ms`.
pub(super) fn attributes(fault: &FaultRecord) -> String {
    let schema = sabot_toxics::kind(&fault.kind).map(sabot_toxics::Kind::schema);
    let one = |(name, value): (&String, &serde_json::Value)| {
        let unit =
            schema.and_then(|schema| schema["properties"][name]["x-unit"].as_str()).unwrap_or_default();
        let value = match value {
            serde_json::Value::String(text) => text.clone(),
            // 200.0 reads as 200.
            serde_json::Value::Number(number) => {
                number.as_f64().map_or_else(|| number.to_string(), |n| n.to_string())
            }
            other => other.to_string(),
        };
        format!("{name} = {value} {unit}").trim_end().to_owned()
    };
    fault.attributes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A sentence of the judge in parts: what stands between backticks is code (true), the rest is not.
/// A backtick without its partner is a letter.
pub(super) fn parts(sentence: &str) -> Vec<(bool, &str)> {
    let parts: Vec<&str> = sentence.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return vec![(false, sentence)];
    }
    parts.into_iter().enumerate().map(|(at, part)| (!at.is_multiple_of(2), part)).collect()
}

/// What was measured of an objective.
pub(super) fn measured(objective: &Objective) -> String {
    objective.value.map_or_else(|| NOTHING.to_owned(), |value| in_its_unit(objective, value))
}

/// What it had to be below or above.
pub(super) fn bound(objective: &Objective) -> String {
    let sign = objective.slo.parse::<Slo>().map(|slo| slo.comparison.sign()).unwrap_or_default();
    format!("{sign} {}", in_its_unit(objective, objective.bound)).trim_start().to_owned()
}

fn in_its_unit(objective: &Objective, value: f64) -> String {
    match objective.slo.parse::<Slo>() {
        Ok(slo) => format_value(value, slo.indicator.unit()),
        // Some later Sabot's objective: its number without a unit.
        Err(_) => value.to_string(),
    }
}

/// What an objective came to.
pub(super) fn met(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "broken",
        None => "too few requests to tell",
    }
}

/// The verdict in one line.
pub(super) fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "In its objectives while the fault was on, and after it.",
        Verdict::Degraded => "Out of its objectives while the fault was on, back in them afterwards.",
        Verdict::Failed => "It spread to what should have been spared, or did not recover.",
        Verdict::Aborted => "Ended before its time.",
        Verdict::Invalid => "This run proves nothing.",
    }
}

/// How it came through, in a word.
pub(super) fn recovery(recovery: Recovery) -> &'static str {
    match recovery {
        Recovery::Absorbed => "absorbed",
        Recovery::Healed => "healed",
        Recovery::NotRecovered => "not recovered",
    }
}

/// What that word means.
pub(super) fn recovery_meaning(recovery: Option<Recovery>) -> &'static str {
    match recovery {
        Some(Recovery::Absorbed) => "resilience: no objective was ever left",
        Some(Recovery::Healed) => "recovery: objectives were left, and met again",
        Some(Recovery::NotRecovered) => "not all objectives were met again",
        None => "nothing can be said of a run that was aborted or proves nothing",
    }
}

/// From the removal of the fault until all was well.
pub(super) fn mttr(judgement: &Judgement) -> String {
    match (judgement.mttr_s, judgement.recovery) {
        (Some(mttr_s), _) => seconds(mttr_s),
        (None, Some(Recovery::NotRecovered)) => "never".to_owned(),
        (None, _) => NOTHING.to_owned(),
    }
}

/// Three digits, however large the number.
fn digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// Without zeros at the end of a fraction.
fn trimmed(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_tell_something() {
        for (ms, text) in [
            (0.4123, "0.41 ms"),
            (4.2081, "4.21 ms"),
            (9.996, "10.0 ms"),
            (99.96, "100 ms"),
            (421.3, "421 ms"),
            (999.6, "1.00 s"),
            (12_345.0, "12.3 s"),
        ] {
            assert_eq!(millis(ms), text);
        }
        for (value, text) in [
            (0.0, "0 %"),
            (0.000_01, "< 0.01 %"),
            (0.001_24, "0.12 %"),
            (0.019_444, "1.94 %"),
            (0.123_4, "12.3 %"),
            (0.999_99, "> 99.9 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(share(value), text);
        }
        assert_eq!((rate(0.0), rate(69.96), rate(1234.5)), ("0/s".into(), "70/s".into(), "1234/s".into()));
        assert_eq!(
            (seconds(0.0), seconds(7.5), seconds(125.0)),
            ("0 s".into(), "7.5 s".into(), "2 min 5 s".into())
        );
        assert_eq!((axis_millis(0.1), axis_millis(5000.0)), ("0.1 ms".into(), "5 s".into()));
    }

    #[test]
    fn differences_are_shares_of_the_first() {
        assert_eq!(difference(Some(10.0), Some(15.0)), Some(0.5));
        assert_eq!(difference(Some(0.0), Some(1.0)), None);
        assert_eq!(
            (signed(0.5), signed(-0.034), signed(0.0)),
            ("+50 %".into(), "−3.4 %".into(), "same".into())
        );
    }
}
