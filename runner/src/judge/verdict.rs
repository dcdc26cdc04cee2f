//! The verdict: one word, and the reasons for it.

use std::collections::BTreeSet;

use super::{Hit, Judgement, Objective, Observed, Phase, Recovery, Slos, Tracker, Verdict};
use crate::slo::{Indicator, Slo, Subject};

/// Fewer requests than this in the baseline are no baseline.
const LEAST_REQUESTS: u64 = 50;

/// What a run came to: `aborted` and `faulty` say what kept it from being one, `stable_s` is for how
/// many seconds everything must be in SLO again to count as recovered.
#[must_use]
pub fn judge(
    observed: &Observed<'_>,
    slos: &Slos,
    aborted: Option<&str>,
    faulty: &[String],
    stable_s: u64,
) -> Judgement {
    let objectives = objectives(observed, slos);
    let blast_radius = blast_radius(observed, slos);
    let mut judgement = Judgement {
        verdict: Verdict::Held,
        reasons: Vec::new(),
        warnings: Vec::new(),
        objectives,
        blast_radius,
        recovery: None,
        mttr_s: None,
    };
    if let Some(reason) = aborted {
        judgement.verdict = Verdict::Aborted;
        judgement.reasons.push(reason.to_owned());
        return judgement;
    }
    let doubts = doubts(observed, &judgement.objectives, faulty);
    if !doubts.is_empty() {
        judgement.verdict = Verdict::Invalid;
        judgement.reasons = doubts;
        return judgement;
    }
    judgement.mttr_s = mttr(observed, slos, stable_s);
    decide(&mut judgement, observed, slos, stable_s);
    judgement
}

/// Held, degraded or failed, of a run that proves something.
fn decide(judgement: &mut Judgement, observed: &Observed<'_>, slos: &Slos, stable_s: u64) {
    let broken = |phase| {
        let broken = judgement.objectives.iter().filter(move |o| o.phase == phase && o.met == Some(false));
        broken.map(Objective::sentence).collect::<Vec<_>>()
    };
    let during = broken(Phase::Fault);
    let spread = spread(judgement, observed, slos);
    let recovered = judgement.mttr_s.is_some();
    judgement.recovery = Some(match (recovered, judgement.blast_radius.is_empty() && during.is_empty()) {
        (false, _) => Recovery::NotRecovered,
        (true, true) => Recovery::Absorbed,
        (true, false) => Recovery::Healed,
    });
    judgement.verdict = match (recovered, &spread) {
        (false, _) | (_, Some(_)) => Verdict::Failed,
        (true, None) if during.is_empty() => Verdict::Held,
        (true, None) => Verdict::Degraded,
    };
    let reasons = &mut judgement.reasons;
    if !recovered {
        reasons.push(format!(
            "It did not recover: {stable_s} s in SLO were not reached in the {} s after the fault.",
            observed.phases.end_s - observed.phases.recovery_s
        ));
    }
    reasons.extend(spread);
    reasons.extend(during);
    if reasons.is_empty() {
        reasons.push("Every objective was met while the fault was on, and after it.".to_owned());
    }
}

fn objectives(observed: &Observed<'_>, slos: &Slos) -> Vec<Objective> {
    let mut all = Vec::new();
    let phases =
        [(Phase::Baseline, &slos.steady), (Phase::Fault, &slos.fault), (Phase::Recovery, &slos.after)];
    for (phase, slos) in phases {
        for slo in slos {
            all.extend(slo.subjects(observed.names).into_iter().map(|s| objective(observed, slo, s, phase)));
        }
    }
    all
}

/// A phase is judged as a whole, unless the objective says over which windows; the recovery, which has
/// to settle first, by how it ended.
fn objective(observed: &Observed<'_>, slo: &Slo, subject: Subject, phase: Phase) -> Objective {
    let seconds = observed.phases.of(phase);
    let tracker = Tracker::new(observed, slo, subject);
    let seconds = match phase {
        Phase::Recovery => tracker.settled(seconds.clone()).unwrap_or(seconds.start)..seconds.end,
        _ => seconds,
    };
    let value = observed.value(slo, subject, seconds.clone());
    let met = match (phase, slo.over) {
        (Phase::Recovery, _) if value.is_some() => Some(tracker.settled(observed.phases.of(phase)).is_some()),
        (Phase::Fault, Some(_)) if value.is_some() => Some(tracker.excursions(seconds).is_empty()),
        _ => value.map(|value| slo.holds(value)),
    };
    let tenant = subject.tenant.and_then(|tenant| observed.names.tenants.get(usize::from(tenant)).cloned());
    let value = value.filter(|value| value.is_finite());
    Objective { slo: slo.text.clone(), phase, tenant, value, bound: slo.bound, met }
}

/// Why the run proves nothing.
fn doubts(observed: &Observed<'_>, objectives: &[Objective], faulty: &[String]) -> Vec<String> {
    let mut doubts = faulty.to_vec();
    let baseline = observed.series.tally(observed.phases.of(Phase::Baseline), |_, _| true);
    if baseline.offered() < LEAST_REQUESTS {
        doubts.push(format!(
            "The baseline has {} requests; {LEAST_REQUESTS} are the least that can be called steady. Raise the \
             rate or lengthen the baseline.",
            baseline.offered()
        ));
    }
    for objective in objectives.iter().filter(|objective| objective.phase == Phase::Baseline) {
        match objective.met {
            Some(true) => {}
            Some(false) => doubts.push(format!("No clean baseline. {}", objective.sentence())),
            None => {
                doubts.push(format!("The baseline says nothing of `{}`: too few requests.", objective.slo));
            }
        }
    }
    doubts
}

/// Whether the fault spread to what should have been spared, as a sentence.
fn spread(judgement: &Judgement, observed: &Observed<'_>, slos: &Slos) -> Option<String> {
    let broken: BTreeSet<&str> = judgement
        .objectives
        .iter()
        .filter(|objective| objective.phase == Phase::Fault && objective.met == Some(false))
        .map(|objective| objective.slo.as_str())
        .collect();
    // An excursion that the phase as a whole made good is no spread.
    let hit: BTreeSet<&str> = judgement
        .blast_radius
        .iter()
        .filter(|hit| hit.tenant.is_none() && broken.contains(hit.slo.as_str()))
        .filter_map(|hit| hit.endpoint.as_deref())
        .collect();
    let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    if let Some(allowed) = &slos.blast_radius {
        let beyond: BTreeSet<&str> =
            hit.into_iter().filter(|name| !allowed.iter().any(|a| a == name)).collect();
        let told =
            || format!("It spread beyond its blast radius: {} left their objectives too.", list(&beyond));
        return (!beyond.is_empty()).then(told);
    }
    let all = observed.names.endpoints.len();
    (all > 1 && hit.len() == all)
        .then(|| format!("It cascaded: all endpoints left their objectives ({}).", list(&hit)))
}

/// Each objective of the fault and of the time after it, for each endpoint of its scope, for all
/// tenants together and, where there are several, for each.
fn blast_radius(observed: &Observed<'_>, slos: &Slos) -> Vec<Hit> {
    let seconds = observed.phases.fault_s..observed.phases.end_s;
    let names = observed.names;
    let after = slos.after.iter().filter(|slo| !slos.fault.iter().any(|other| other.text == slo.text));
    let mut hits = Vec::new();
    for slo in slos.fault.iter().chain(after) {
        for subject in cells(slo, observed) {
            let excursions = Tracker::new(observed, slo, subject).excursions(seconds.clone());
            if !excursions.is_empty() {
                let endpoint = subject.endpoint.and_then(|at| names.endpoints.get(usize::from(at)));
                let tenant = subject.tenant.and_then(|at| names.tenants.get(usize::from(at)).cloned());
                hits.push(Hit {
                    slo: slo.text.clone(),
                    endpoint: endpoint.map(|(name, _)| name.clone()),
                    tenant,
                    excursions,
                });
            }
        }
    }
    hits
}

/// The busiest tenants are the most that a report can show, and each costs its share of computing.
const TENANTS: usize = 20;

fn cells(slo: &Slo, observed: &Observed<'_>) -> Vec<Subject> {
    // Nor can a rate that is asked of several endpoints be asked of each.
    if matches!(slo.indicator, Indicator::Sli(_) | Indicator::Throughput) {
        return vec![Subject { endpoint: None, tenant: None }];
    }
    let tenants = slo.scope.tenants(observed.names);
    let mut cells = Vec::new();
    for endpoint in slo.scope.endpoints(observed.names) {
        cells.push(Subject { endpoint: Some(endpoint), tenant: None });
        if tenants.len() > 1 {
            let one = |tenant: &u16| Subject { endpoint: Some(endpoint), tenant: Some(*tenant) };
            cells.extend(tenants.iter().take(TENANTS).map(one));
        }
    }
    cells
}

/// From the removal of the fault until all objectives of the time after it were met and stayed so.
fn mttr(observed: &Observed<'_>, slos: &Slos, stable_s: u64) -> Option<f64> {
    let seconds = observed.phases.of(Phase::Recovery);
    let mut last = seconds.start;
    for slo in &slos.after {
        for subject in slo.subjects(observed.names) {
            // Nobody asked anything of it: no reason to call it broken.
            if observed.value(slo, subject, seconds.clone()).is_none() {
                continue;
            }
            last = last.max(Tracker::new(observed, slo, subject).settled(seconds.clone())?);
        }
    }
    (seconds.end.saturating_sub(last) >= stable_s.min(seconds.end - seconds.start))
        .then(|| (last - seconds.start) as f64)
}

#[cfg(test)]
mod tests;
