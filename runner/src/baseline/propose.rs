//! Objectives that the system's own noise does not break.
//!
//! The rule: as far beyond the worst window as that is beyond the median window, and at least a quarter
//! of it; for an error rate at least three requests of a window besides, which chance brings now and
//! then (the "rule of three"). Rounded away from the noise to two digits.

use schemars::JsonSchema;
use serde::Serialize;

use super::windows::{Spread, spread, values, width};
use crate::judge::{Observed, Phase};
use crate::slo::{Endpoints, Indicator, Slo, Subject, Unit};

const ALL: Subject = Subject { endpoint: None, tenant: None };

/// No latency is promised below this: a scheduler alone takes it now and then.
const LEAST_LATENCY_S: f64 = 0.001;

/// Objectives beyond this share of errors promise nothing.
const MOST_ERRORS: f64 = 0.5;

/// An objective, and the noise that it stands clear of.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Proposal {
    /// The objective, as an experiment takes it.
    pub slo: String,
    /// Its bound: a share, seconds, or a rate a second.
    pub bound: f64,
    /// What was measured.
    #[serde(flatten)]
    pub spread: Spread,
}

/// An objective for each endpoint's median, tail and errors, and one for the throughput of all.
pub(super) fn propose(observed: &Observed<'_>, constant: bool, warnings: &mut Vec<String>) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for (name, _) in &observed.names.endpoints {
        for indicator in ["p50 < 1s", "p99 < 1s", "error_rate < 1%"] {
            match format!("{name} {indicator}").parse::<Slo>() {
                Ok(slo) if slo.scope.endpoints == Endpoints::Named(name.clone()) => {
                    let what = format!("{name} {}", indicator.split(' ').next().unwrap_or_default());
                    match one(observed, &slo, &what) {
                        Ok(proposal) => proposals.push(proposal),
                        Err(reason) => warnings.push(format!("Nothing is proposed for `{what}`: {reason}.")),
                    }
                }
                _ => {
                    warnings
                        .push(format!("No objective can name the endpoint `{name}`: give it another name."));
                    break;
                }
            }
        }
    }
    if constant && let Ok(slo) = "throughput > 0/s".parse::<Slo>() {
        match one(observed, &slo, "throughput") {
            Ok(proposal) => proposals.push(proposal),
            Err(reason) => warnings.push(format!("Nothing is proposed for `throughput`: {reason}.")),
        }
    }
    proposals
}

/// The objective beyond the noise of one indicator; or why there is none, as the end of a sentence.
fn one(observed: &Observed<'_>, slo: &Slo, what: &str) -> Result<Proposal, String> {
    let upper = slo.comparison.is_upper_bound();
    let window_s = width(observed, slo, ALL);
    let spread = spread(&values(observed, slo, ALL, window_s), window_s, upper)
        .ok_or("too few requests came in each window; measure longer or raise the rate")?;
    if !spread.worst.is_finite() {
        return Err("in some windows no request was answered as expected".to_owned());
    }
    if !upper && spread.worst <= 0.0 {
        return Err("in some windows nothing was answered as expected".to_owned());
    }
    let seconds = observed.phases.of(Phase::Baseline);
    let per_window = observed.offered(slo, ALL, seconds.clone()) as f64 * window_s as f64
        / (seconds.end - seconds.start).max(1) as f64;
    let bound = bound(slo, &spread, per_window);
    if slo.indicator == Indicator::ErrorRate && bound > MOST_ERRORS {
        return Err(format!("it was at {:.1} % in the worst window", spread.worst * 100.0));
    }
    let sign = slo.comparison.sign();
    let text = format!("{what} {sign} {}", written(bound, slo.indicator.unit()));
    Ok(Proposal { slo: text, bound, spread })
}

/// The bound of an indicator with that noise, at so many requests in a window.
pub(super) fn bound(slo: &Slo, spread: &Spread, per_window: f64) -> f64 {
    let Spread { median, worst, .. } = *spread;
    if !slo.comparison.is_upper_bound() {
        return rounded(worst - (median - worst).max(worst / 10.0), false);
    }
    let beyond = worst + (worst - median).max(worst / 4.0);
    match slo.indicator.unit() {
        Unit::Share => rounded(beyond.max(3.0 / per_window.max(3.0)), true),
        Unit::Seconds => rounded(beyond, true).max(LEAST_LATENCY_S),
        Unit::PerSecond | Unit::Number => rounded(beyond, true),
    }
}

/// To two digits, up or down.
fn rounded(value: f64, up: bool) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return value.max(0.0);
    }
    let places = value.log10().floor() as i32 - 1;
    // Powers of ten below one are not exact, their reciprocals are.
    let (digits, back): (f64, Box<dyn Fn(f64) -> f64>) = if places < 0 {
        let scale = 10f64.powi(-places);
        (value * scale, Box::new(move |digits| digits / scale))
    } else {
        let scale = 10f64.powi(places);
        (value / scale, Box::new(move |digits| digits * scale))
    };
    // What is a whole number but for the last bit is one.
    let whole = digits.round();
    let digits = match (digits - whole).abs() < 1e-9 {
        true => whole,
        false if up => digits.ceil(),
        false => digits.floor(),
    };
    back(digits)
}

/// As an objective has it.
fn written(bound: f64, unit: Unit) -> String {
    let number = |value: f64| {
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match unit {
        Unit::Share => format!("{}%", number(bound * 100.0)),
        Unit::Seconds if bound < 1.0 => format!("{}ms", number(bound * 1e3)),
        Unit::Seconds => format!("{}s", number(bound)),
        Unit::PerSecond => format!("{}/s", number(bound)),
        Unit::Number => number(bound),
    }
}
