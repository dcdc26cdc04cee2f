//! The verdict: one word, and the reasons for it.

use std::collections::BTreeSet;

use super::{Excursion, Hit, Judgement, Objective, Observed, Phase, Recovery, Slos, Tracker, Verdict};
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
    judgement.recovery = Some(match judgement.mttr_s {
        None => Recovery::NotRecovered,
        Some(0.0) if during.is_empty() => Recovery::Absorbed,
        Some(_) => Recovery::Healed,
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
        reasons.push(match judgement.mttr_s {
            Some(0.0) => "Every objective was met while the fault was on, and after it.".to_owned(),
            later => format!(
                "Every objective was met while the fault was on; after it not before {} s had passed.",
                later.unwrap_or_default()
            ),
        });
    }
    reasons.extend(by_itself(&judgement.blast_radius, &judgement.objectives, observed.phases.recovery_s));
    reasons.extend(for_a_time(observed, slos));
}

/// Who left an objective under the fault that all together met, as a sentence.
fn by_itself(blast_radius: &[Hit], objectives: &[Objective], recovery_s: u64) -> Option<String> {
    let broken = |slo: &str| objectives.iter().any(|o| o.slo == slo && o.met == Some(false));
    let during = |hit: &Hit| hit.excursions.iter().any(|excursion| excursion.left_s < recovery_s);
    let mut alone = blast_radius.iter().filter(|hit| during(hit) && !broken(&hit.slo));
    let alone = alone.find(|hit| hit.tenant.is_some())?;
    let endpoint = alone.endpoint.as_deref().unwrap_or_default();
    let tenant = alone.tenant.as_deref().unwrap_or_default();
    Some(format!(
        "All together met `{}`, not each by itself: {endpoint} of {tenant} did not, for one.",
        alone.slo
    ))
}

/// How many objectives are told that were left for a time.
const TOLD: usize = 3;

/// What the time under the fault as a whole met, but not each window of it; sentences.
fn for_a_time(observed: &Observed<'_>, slos: &Slos) -> Vec<String> {
    let seconds = observed.phases.of(Phase::Fault);
    let told = |slo: &Slo| {
        slo.subjects(observed.names).into_iter().find_map(|subject| {
            let tracker = Tracker::new(observed, slo, subject);
            let first = tracker.excursions(seconds.clone()).first().copied()?;
            (tracker.holds(seconds.clone()) == Some(true)).then(|| {
                let until = first.back_s.map(|back_s| format!(" to {back_s} s")).unwrap_or_default();
                format!(
                    "The time under the fault as a whole met `{slo}`, not each window of it: out of it from {} s{until}.",
                    first.left_s
                )
            })
        })
    };
    // What asks for each window was judged by each.
    slos.fault.iter().filter(|slo| slo.over.is_none()).filter_map(told).take(TOLD).collect()
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

/// What is wrong with a baseline of so many requests, as a sentence; none if it is enough.
pub(crate) fn too_few(requests: u64) -> Option<String> {
    (requests < LEAST_REQUESTS).then(|| {
        format!(
            "The baseline has {requests} requests; {LEAST_REQUESTS} are the least that can be called steady. Raise \
             the rate or lengthen the baseline."
        )
    })
}

/// Why the run proves nothing.
fn doubts(observed: &Observed<'_>, objectives: &[Objective], faulty: &[String]) -> Vec<String> {
    let mut doubts = faulty.to_vec();
    let baseline = observed.series.tally(observed.phases.of(Phase::Baseline), |_, _| true);
    doubts.extend(too_few(baseline.ended()));
    for objective in objectives.iter().filter(|objective| objective.phase == Phase::Baseline) {
        match objective.met {
            Some(true) => {}
            Some(false) => doubts.push(format!("No clean baseline. {}", objective.sentence())),
            None => doubts.push(format!(
                "The baseline says nothing of `{}`: {}.",
                objective.slo,
                silence(objective)
            )),
        }
    }
    doubts
}

/// Why an objective could not be judged, and what to do.
fn silence(objective: &Objective) -> &'static str {
    match objective.slo.parse::<Slo>().map(|slo| slo.indicator) {
        Ok(Indicator::Sli(_)) => "its SLI had no number, the warnings say why",
        _ => "too few requests came to tell; raise the rate or lengthen the baseline",
    }
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
/// tenants together and, where there are several, for each: those that did not meet it, judged as
/// objectives are.
fn blast_radius(observed: &Observed<'_>, slos: &Slos) -> Vec<Hit> {
    let names = observed.names;
    let after = slos.after.iter().filter(|slo| !slos.fault.iter().any(|other| other.text == slo.text));
    let mut hits = Vec::new();
    for slo in slos.fault.iter().chain(after) {
        for subject in cells(slo, observed) {
            let excursions = left(observed, slos, slo, subject);
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

/// When `subject` was out of `slo`: under the fault if it did not meet it then, and after the fault if that
/// is asked.
fn left(observed: &Observed<'_>, slos: &Slos, slo: &Slo, subject: Subject) -> Vec<Excursion> {
    let (fault, end_s) = (observed.phases.of(Phase::Fault), observed.phases.end_s);
    let tracker = Tracker::new(observed, slo, subject);
    let is_asked = |slos: &[Slo]| slos.iter().any(|other| other.text == slo.text);
    let mut all = Vec::new();
    if is_asked(&slos.fault) && (slo.over.is_some() || tracker.holds(fault.clone()) == Some(false)) {
        all = tracker.excursions(fault.start..end_s);
        all.retain(|excursion| excursion.left_s < fault.end);
        // No window of a fault that is shorter than one shows what its seconds together do.
        if all.is_empty() && slo.over.is_none() {
            all.push(Excursion { left_s: fault.start, back_s: Some(fault.end) });
        }
    }
    if is_asked(&slos.after) {
        let lasted_s = all.last().map_or(Some(0), |last| last.back_s);
        let later = tracker.excursions_within(observed.phases.of(Phase::Recovery));
        all.extend(later.into_iter().filter(|later| lasted_s.is_some_and(|back_s| later.left_s >= back_s)));
    }
    all
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
