//! What the system's own noise says of objectives that there are already.

use schemars::JsonSchema;
use serde::Serialize;

use super::propose::bound;
use super::windows::{Spread, spread, values, width};
use crate::judge::{Observed, Phase, Slos};
use crate::slo::{Indicator, Slo, Subject, Unit, format_value};

/// A latency bound that is so many times the worst window would let a real fault pass.
const LOOSE_TIMES: f64 = 20.0;
/// So is an objective that half of all requests may miss.
const LOOSE_SHARE: f64 = 0.5;

/// How an objective stands to the system's own noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Windows broke it though nothing was broken: it is tighter than the noise.
    Tight,
    /// No window broke it, but it is nearer to the worst one than the margin of a proposal.
    Thin,
    /// It is clear of the noise.
    Clear,
    /// It is so far from what was measured that it says nothing.
    Loose,
    /// Too few requests came to tell.
    Untold,
}

/// An objective, and how it stands to the noise.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Check {
    /// The objective as it was written.
    pub slo: String,
    /// The tenant, if every tenant is judged by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How it stands to the noise.
    pub noise: Noise,
    /// The share of windows that break it, 0 to 1.
    pub broken_share: f64,
    /// What was measured; none if too few windows tell something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// What is wrong with it, as a sentence, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Each objective once, however many phases it is for. Only those of the steady state can be too loose:
/// while a fault is on, much may be allowed on purpose.
pub(super) fn checks(observed: &Observed<'_>, slos: &Slos) -> Vec<Check> {
    let mut seen: Vec<&str> = Vec::new();
    let mut checks = Vec::new();
    let steady = slos.steady.iter().map(|slo| (slo, true));
    let later = slos.fault.iter().chain(&slos.after).map(|slo| (slo, false));
    for (slo, steady) in steady.chain(later) {
        if seen.contains(&slo.text.as_str()) {
            continue;
        }
        seen.push(&slo.text);
        checks.extend(slo.subjects(observed.names).into_iter().map(|s| check(observed, slo, s, steady)));
    }
    checks
}

fn check(observed: &Observed<'_>, slo: &Slo, subject: Subject, steady: bool) -> Check {
    let window_s = width(observed, slo, subject);
    let values = values(observed, slo, subject, window_s);
    let told = values.iter().flatten().count();
    let broken = values.iter().flatten().filter(|value| !slo.holds(**value)).count();
    let spread = spread(&values, window_s, slo.comparison.is_upper_bound());
    let seconds = observed.phases.of(Phase::Baseline);
    let length = seconds.end.saturating_sub(seconds.start).max(1);
    let per_window = (observed.offered(slo, subject, seconds) * window_s) as f64 / length as f64;
    let noise = match &spread {
        _ if broken > 0 => Noise::Tight,
        None => Noise::Untold,
        Some(spread) if steady && is_loose(slo, spread) => Noise::Loose,
        Some(spread) if is_thin(slo, spread, per_window) => Noise::Thin,
        Some(_) => Noise::Clear,
    };
    let tenant = subject.tenant.and_then(|tenant| observed.names.tenants.get(usize::from(tenant)).cloned());
    let of = tenant.as_deref().map(|tenant| format!(" of {tenant}")).unwrap_or_default();
    let unit = slo.indicator.unit();
    let worst = spread.map(|spread| format_value(spread.worst, unit)).unwrap_or_default();
    let text = &slo.text;
    let warning = match noise {
        Noise::Tight => Some(format!(
            "`{text}`{of} is tighter than the system's own noise: {broken} of {told} windows of {window_s} s break \
             it{}.",
            if worst.is_empty() { String::new() } else { format!(", the worst at {worst}") }
        )),
        Noise::Thin => Some(format!(
            "`{text}`{of} is met, but within the margin of noise: the worst of {told} windows is at {worst}."
        )),
        Noise::Loose => {
            Some(format!("`{text}`{of} says nothing: the worst of {told} windows is at {worst}."))
        }
        Noise::Untold => Some(format!(
            "`{text}`{of} cannot be told: too few windows of {window_s} s had something to say of it."
        )),
        Noise::Clear => None,
    };
    let broken_share = if told == 0 { 0.0 } else { broken as f64 / told as f64 };
    Check { slo: text.clone(), tenant, noise, broken_share, spread, warning }
}

/// The worst window may lie half of a proposal's margin away: proposals are rounded generously.
fn is_thin(slo: &Slo, spread: &Spread, per_window: f64) -> bool {
    if matches!(slo.indicator, Indicator::Sli(_) | Indicator::Availability) {
        return false;
    }
    let margin = (bound(slo, spread, per_window) - spread.worst).abs() / 2.0;
    (slo.bound - spread.worst).abs() < margin
}

fn is_loose(slo: &Slo, spread: &Spread) -> bool {
    let upper = slo.comparison.is_upper_bound();
    match (&slo.indicator, slo.indicator.unit()) {
        (Indicator::ErrorRate, _) => upper && slo.bound >= LOOSE_SHARE,
        (Indicator::Availability, _) => !upper && slo.bound <= LOOSE_SHARE,
        (_, Unit::Seconds) => upper && slo.bound >= spread.worst * LOOSE_TIMES,
        (Indicator::Throughput, _) => !upper && slo.bound <= spread.worst / LOOSE_TIMES,
        _ => false,
    }
}
