//! An indicator in windows of equal length.

use schemars::JsonSchema;
use serde::Serialize;

use super::LEAST_WINDOWS;
use crate::judge::track::WINDOW_S;
use crate::judge::{Observed, Phase};
use crate::slo::{Slo, Subject};

/// How an indicator varied from window to window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Spread {
    /// How many windows had enough requests to tell.
    pub windows: u32,
    /// How long each was, in seconds.
    pub window_s: u64,
    /// What half of the windows did not exceed.
    pub median: f64,
    /// The window that was farthest on the objective's bad side.
    pub worst: f64,
}

/// The values of an objective's indicator, window by window; none where too little came to tell.
pub(super) fn values(
    observed: &Observed<'_>,
    slo: &Slo,
    subject: Subject,
    window_s: u64,
) -> Vec<Option<f64>> {
    let seconds = observed.phases.of(Phase::Baseline);
    let window_s = window_s.max(1);
    let starts = (0..).map(|at| seconds.start + at * window_s);
    starts
        .take_while(|start| start + window_s <= seconds.end)
        .map(|start| observed.value(slo, subject, start..start + window_s))
        .collect()
}

/// What those values come to; none if fewer than half of the windows tell something, or fewer than six.
pub(super) fn spread(values: &[Option<f64>], window_s: u64, upper: bool) -> Option<Spread> {
    let mut told: Vec<f64> = values.iter().flatten().copied().collect();
    if (told.len() as u64) < LEAST_WINDOWS || told.len() * 2 < values.len() {
        return None;
    }
    told.sort_by(f64::total_cmp);
    let median = told[(told.len() - 1) / 2];
    let worst = if upper { told[told.len() - 1] } else { told[0] };
    Some(Spread { windows: told.len() as u32, window_s, median, worst })
}

/// The width of the windows of an objective: what it names, else that of a run's own windows, but so that
/// there are six; wider where few requests come.
pub(super) fn width(observed: &Observed<'_>, slo: &Slo, subject: Subject) -> u64 {
    if let Some(over) = slo.over {
        return over.as_secs().max(1);
    }
    let seconds = observed.phases.of(Phase::Baseline);
    let length = seconds.end.saturating_sub(seconds.start);
    let usual = (length / (2 * LEAST_WINDOWS)).clamp(1, WINDOW_S);
    let offered = observed.offered(slo, subject, seconds);
    // Half as much again as is needed, since arrivals vary.
    let wanted = slo.indicator.least() * 3 / 2 * length;
    let wanted = wanted.checked_div(offered).map_or(usual, |width| width + 1);
    wanted.clamp(usual, (length / LEAST_WINDOWS).max(usual))
}

/// A sentence, if latency rose or fell throughout: then what was measured is no steady state.
pub(super) fn drift(observed: &Observed<'_>) -> Option<String> {
    let slo: Slo = "all p50 < 1s".parse().ok()?;
    let subject = Subject { endpoint: None, tenant: None };
    let told: Vec<f64> =
        values(observed, &slo, subject, width(observed, &slo, subject)).into_iter().flatten().collect();
    let third = told.len() / 3;
    let median = |part: &[f64]| {
        let mut part = part.to_vec();
        part.sort_by(f64::total_cmp);
        part.get(part.len() / 2).copied()
    };
    let (first, last) = (median(&told[..third])?, median(&told[told.len() - third..])?);
    let ratio = last / first;
    let steady = !ratio.is_finite() || (0.5..=2.0).contains(&ratio);
    (!steady).then(|| {
        format!(
            "The median latency went from {:.1} ms in the first third to {:.1} ms in the last: this is no \
             steady state yet. Give it a longer warm-up.",
            first * 1e3,
            last * 1e3
        )
    })
}
