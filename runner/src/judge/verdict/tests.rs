//! Verdicts of synthetic runs: 20 s of baseline, 20 s of fault, 30 s of recovery, 50 reads and 20
//! writes a second, two tenants.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::*;
use crate::judge::{Excursion, Phases, Samples};
use crate::load::Class;
use crate::outcome::{Fate, Outcome};
use crate::series::Series;
use crate::slo::Names;

const READS: u16 = 0;
const WRITES: u16 = 1;
const PHASES: Phases = Phases { baseline_s: 0, fault_s: 20, recovery_s: 40, end_s: 70 };

/// What a second is like for an endpoint: latency of the good answers, and the share that fails.
#[derive(Clone, Copy)]
struct Like {
    ms: u64,
    failing: f64,
}

const GOOD: Like = Like { ms: 10, failing: 0.0 };
const SLOW: Like = Like { ms: 400, failing: 0.0 };
const DOWN: Like = Like { ms: 10, failing: 1.0 };

type Rule = (u16, Range<u64>, Like);

/// A run that is good but for these rules; the later rule wins.
fn series(rules: &[Rule]) -> Series {
    let mut series = Series::default();
    for second in 0..PHASES.end_s {
        for (endpoint, count) in [(READS, 50), (WRITES, 20)] {
            let like = rules.iter().rfind(|(of, seconds, _)| *of == endpoint && seconds.contains(&second));
            let like = like.map_or(GOOD, |(.., like)| *like);
            for n in 0..count {
                let intended = Duration::from_secs(second) + Duration::from_millis(n * 1000 / count);
                let fails = (n as f64 + 0.5) / count as f64 <= like.failing;
                series.record(&Outcome {
                    intended,
                    sent: Some(intended),
                    done: intended + Duration::from_millis(like.ms),
                    endpoint,
                    tenant: (n % 2) as u16,
                    fate: if fails { Fate::Refused } else { Fate::Ok },
                });
            }
        }
    }
    series
}

fn names() -> Names {
    Names {
        endpoints: vec![("GET /orders".into(), Class::Read), ("POST /orders".into(), Class::Write)],
        tenants: vec!["acme".into(), "globex".into()],
    }
}

fn slos(list: &[&str]) -> Slos {
    let all: Vec<Slo> = list.iter().map(|text| text.parse().unwrap()).collect();
    Slos { steady: all.clone(), fault: all.clone(), after: all, blast_radius: None }
}

fn judged(rules: &[Rule], slos: &Slos, aborted: Option<&str>, faulty: &[String]) -> Judgement {
    judged_in(&PHASES, rules, slos, aborted, faulty)
}

fn judged_in(
    phases: &Phases,
    rules: &[Rule],
    slos: &Slos,
    aborted: Option<&str>,
    faulty: &[String],
) -> Judgement {
    let (names, series, slis) = (names(), series(rules), BTreeMap::<String, Samples>::new());
    let observed = Observed { names: &names, series: &series, slis: &slis, phases };
    for slo in slos.steady.iter().chain(&slos.fault).chain(&slos.after) {
        slo.check(&names, &[]).unwrap();
    }
    judge(&observed, slos, aborted, faulty, 10)
}

const BOTH: [&str; 3] = ["reads p99 < 100ms", "writes p99 < 100ms", "all error_rate < 1%"];

/// What happens, and what it comes to: the verdict, how it came through, the MTTR in seconds.
type Course = (&'static str, &'static [Rule], Verdict, Option<Recovery>, Option<f64>);

#[test]
fn each_course_has_its_verdict() {
    let courses: [Course; 11] = [
        ("nothing happens", &[], Verdict::Held, Some(Recovery::Absorbed), Some(0.0)),
        (
            "writes are slow under the fault",
            &[(WRITES, 20..40, SLOW)],
            Verdict::Degraded,
            Some(Recovery::Healed),
            Some(0.0),
        ),
        (
            "and for 5 s after it",
            &[(WRITES, 20..45, SLOW)],
            Verdict::Degraded,
            Some(Recovery::Healed),
            Some(5.0),
        ),
        (
            "all is slow: a cascade",
            &[(WRITES, 20..40, SLOW), (READS, 20..40, SLOW)],
            Verdict::Failed,
            Some(Recovery::Healed),
            Some(0.0),
        ),
        (
            "it never comes back",
            &[(WRITES, 20..70, SLOW)],
            Verdict::Failed,
            Some(Recovery::NotRecovered),
            None,
        ),
        (
            "it comes back too late to be sure",
            &[(WRITES, 20..65, SLOW)],
            Verdict::Failed,
            Some(Recovery::NotRecovered),
            None,
        ),
        (
            "it breaks again at the end",
            &[(WRITES, 20..40, SLOW), (WRITES, 66..70, SLOW)],
            Verdict::Failed,
            Some(Recovery::NotRecovered),
            None,
        ),
        (
            "it flaps, and settles",
            &[(WRITES, 20..40, SLOW), (WRITES, 43..44, DOWN), (WRITES, 50..51, DOWN)],
            Verdict::Degraded,
            Some(Recovery::Healed),
            Some(11.0),
        ),
        (
            "reads fail after the fault only",
            &[(READS, 40..50, DOWN)],
            Verdict::Held,
            Some(Recovery::Healed),
            Some(10.0),
        ),
        ("the baseline is slow", &[(WRITES, 0..20, SLOW)], Verdict::Invalid, None, None),
        ("the baseline fails", &[(READS, 0..20, DOWN)], Verdict::Invalid, None, None),
    ];
    for (course, rules, verdict, recovery, mttr_s) in courses {
        let judgement = judged(rules, &slos(&BOTH), None, &[]);
        assert_eq!(judgement.verdict, verdict, "{course}: {judgement:#?}");
        assert_eq!(judgement.recovery, recovery, "{course}");
        assert_eq!(judgement.mttr_s, mttr_s, "{course}");
        assert!(!judgement.reasons.is_empty(), "{course}");
    }
}

#[test]
fn what_is_asked_after_the_fault_only_is_no_matter_while_it_is_on() {
    let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Slo>>();
    let after = Slos { fault: list(&["all error_rate < 30%"]), after: list(&BOTH), ..slos(&BOTH) };
    let judgement = judged(&[(WRITES, 20..40, SLOW), (READS, 38..40, DOWN)], &after, None, &[]);
    assert_eq!((judgement.verdict, judgement.recovery), (Verdict::Held, Some(Recovery::Absorbed)));
    assert_eq!((judgement.blast_radius, judgement.mttr_s), (vec![], Some(0.0)));
    let judgement = judged(&[(WRITES, 20..44, SLOW), (WRITES, 55..56, SLOW)], &after, None, &[]);
    assert_eq!((judgement.verdict, judgement.recovery), (Verdict::Held, Some(Recovery::Healed)));
    let excursions = &judgement.blast_radius[0].excursions;
    assert_eq!(
        excursions,
        &[Excursion { left_s: 40, back_s: Some(44) }, Excursion { left_s: 55, back_s: Some(56) }]
    );
    assert_eq!(judgement.mttr_s, Some(16.0));
    let told = "Every objective was met while the fault was on; after it not before 16 s had passed.";
    assert_eq!(judgement.reasons, [told]);
}

#[test]
fn what_the_phase_made_good_is_told_but_left_nothing() {
    // 0.4 % of the phase are errors, 1.4 % of a window.
    let rules = [(READS, 30..31, Like { ms: 10, failing: 0.1 })];
    let judgement = judged(&rules, &slos(&["all error_rate < 1%"]), None, &[]);
    assert_eq!((judgement.verdict, judgement.recovery), (Verdict::Held, Some(Recovery::Absorbed)));
    assert_eq!(judgement.blast_radius, []);
    let told = "The time under the fault as a whole met `all error_rate < 1%`, not each window of it: out of it from \
                30 s to 31 s.";
    assert_eq!(judgement.reasons[1..], [told]);
}

#[test]
fn who_is_out_by_itself_is_told_beside_a_verdict_that_held() {
    let mut series = series(&[]);
    for at in 0..60u64 {
        let intended = Duration::from_secs(20) + Duration::from_millis(at * 300);
        let (done, fate) = (intended + Duration::from_millis(1), Fate::Refused);
        series.record(&Outcome { intended, sent: None, done, endpoint: WRITES, tenant: 1, fate });
    }
    let (names, slis) = (names(), BTreeMap::new());
    let observed = Observed { names: &names, series: &series, slis: &slis, phases: &PHASES };
    let judgement = judge(&observed, &slos(&["error_rate < 5%"]), None, &[], 10);
    assert_eq!((judgement.verdict, judgement.recovery), (Verdict::Held, Some(Recovery::Absorbed)));
    let told =
        "All together met `error_rate < 5%`, not each by itself: POST /orders of globex did not, for one.";
    assert!(judgement.reasons.iter().any(|reason| reason == told), "{:?}", judgement.reasons);
}

#[test]
fn a_fault_that_did_not_act_proves_nothing() {
    let faulty = ["The toxic latency on payments never acted.".to_owned()];
    let judgement = judged(&[(WRITES, 20..40, SLOW)], &slos(&BOTH), None, &faulty);
    assert_eq!((judgement.verdict, &judgement.reasons[0]), (Verdict::Invalid, &faulty[0]));
    assert_eq!(judgement.mttr_s, None);
}

#[test]
fn a_stopped_run_is_aborted_whatever_its_numbers() {
    let judgement = judged(&[], &slos(&BOTH), Some("stopped: reads error_rate > 1% for 5s"), &[]);
    assert_eq!(judgement.verdict, Verdict::Aborted);
    assert_eq!(judgement.reasons, ["stopped: reads error_rate > 1% for 5s"]);
}

#[test]
fn a_load_that_asked_nothing_proves_nothing() {
    let (names, series, slis) = (names(), Series::default(), BTreeMap::new());
    let observed = Observed { names: &names, series: &series, slis: &slis, phases: &PHASES };
    let judgement = judge(&observed, &slos(&BOTH), None, &[], 10);
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert!(judgement.reasons[0].contains("0 requests"), "{:?}", judgement.reasons);
}

#[test]
fn latency_of_requests_that_all_fail_is_not_good() {
    let only = slos(&["writes p99 < 100ms"]);
    let judgement = judged(&[(WRITES, 20..70, DOWN)], &only, None, &[]);
    assert_eq!(judgement.verdict, Verdict::Failed);
    let objective = judgement.objectives.iter().find(|o| o.phase == Phase::Fault).unwrap();
    assert_eq!((objective.value, objective.met), (None, Some(false)));
}

#[test]
fn the_blast_radius_names_endpoint_tenant_and_times() {
    let judgement = judged(&[(WRITES, 25..48, SLOW)], &slos(&BOTH), None, &[]);
    let hits: Vec<_> =
        judgement.blast_radius.iter().map(|h| (h.endpoint.as_deref(), h.tenant.as_deref())).collect();
    let writes = Some("POST /orders");
    assert_eq!(hits, [(writes, None), (writes, Some("acme")), (writes, Some("globex"))]);
    assert_eq!(judgement.blast_radius[0].excursions, [Excursion { left_s: 25, back_s: Some(48) }]);
}

#[test]
fn what_may_leave_its_objectives_can_be_said() {
    let both = [(WRITES, 20..40, SLOW), (READS, 20..40, SLOW)];
    let allow = |names: &[&str]| {
        let blast_radius = Some(names.iter().map(|name| (*name).to_owned()).collect());
        Slos { blast_radius, ..slos(&BOTH) }
    };
    assert_eq!(judged(&both, &allow(&["GET /orders", "POST /orders"]), None, &[]).verdict, Verdict::Degraded);
    let spread = judged(&both, &allow(&["POST /orders"]), None, &[]);
    assert_eq!(spread.verdict, Verdict::Failed);
    assert!(spread.reasons[0].contains("GET /orders"), "{:?}", spread.reasons);
    assert_eq!(judged(&both[..1], &allow(&[]), None, &[]).verdict, Verdict::Failed);
}

#[test]
fn a_fault_that_is_shorter_than_a_window_spreads_as_well() {
    let phases = Phases { recovery_s: 22, ..PHASES };
    let both = [(WRITES, 20..22, SLOW), (READS, 20..22, SLOW)];
    let medians = ["reads p50 < 100ms", "writes p50 < 100ms"];
    let judgement = judged_in(&phases, &both, &slos(&medians), None, &[]);
    assert_eq!(judgement.verdict, Verdict::Failed, "{:?}", judgement.reasons);
    assert!(judgement.reasons[0].contains("It cascaded"), "{:?}", judgement.reasons);
    assert_eq!(judgement.blast_radius[0].excursions, [Excursion { left_s: 20, back_s: Some(22) }]);
    let spared = Slos { blast_radius: Some(vec!["POST /orders".to_owned()]), ..slos(&medians) };
    let judgement = judged_in(&phases, &both, &spared, None, &[]);
    assert!(judgement.reasons[0].contains("beyond its blast radius"), "{:?}", judgement.reasons);
    let judgement = judged_in(&phases, &both[..1], &spared, None, &[]);
    assert_eq!(judgement.verdict, Verdict::Degraded, "{:?}", judgement.reasons);
}

#[test]
fn windows_are_stricter_than_the_whole() {
    // 2 s of 20 are slow: the mean of the phase is good, that of one window is not.
    let rules = [(WRITES, 30..32, SLOW)];
    assert_eq!(judged(&rules, &slos(&["writes mean < 100ms"]), None, &[]).verdict, Verdict::Held);
    let windows = slos(&["writes mean < 100ms over 4s"]);
    assert_eq!(judged(&rules, &windows, None, &[]).verdict, Verdict::Degraded);
    let patient = slos(&["writes mean < 100ms over 4s for 10s"]);
    assert_eq!(judged(&rules, &patient, None, &[]).verdict, Verdict::Held);
}

#[test]
fn a_tenant_by_itself_can_break_what_all_together_meet() {
    let mut series = series(&[]);
    for second in 20..40 {
        let intended = Duration::from_secs(second);
        for _ in 0..2 {
            let done = intended + Duration::from_secs(1);
            series.record(&Outcome {
                intended,
                sent: None,
                done,
                endpoint: WRITES,
                tenant: 1,
                fate: Fate::Timeout,
            });
        }
    }
    let (names, slis) = (names(), BTreeMap::new());
    let observed = Observed { names: &names, series: &series, slis: &slis, phases: &PHASES };
    assert_eq!(judge(&observed, &slos(&["error_rate < 5%"]), None, &[], 10).verdict, Verdict::Held);
    let each = judge(&observed, &slos(&["each tenant error_rate < 5%"]), None, &[], 10);
    assert_eq!(each.verdict, Verdict::Degraded);
    let broken: Vec<_> = each.objectives.iter().filter(|o| o.met == Some(false)).collect();
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].tenant.as_deref(), Some("globex"));
}

#[test]
fn an_sli_of_ones_own_is_judged_by_its_samples() {
    let lag = |at: u64| if (20..45).contains(&at) { 30.0 } else { 1.0 };
    let samples = Samples((0..PHASES.end_s).map(|at| (at, Some(lag(at)))).collect());
    let slis = BTreeMap::from([("replica_lag".to_owned(), samples)]);
    let (names, series) = (names(), series(&[]));
    let observed = Observed { names: &names, series: &series, slis: &slis, phases: &PHASES };
    let judgement = judge(&observed, &slos(&["replica_lag < 5"]), None, &[], 10);
    assert_eq!((judgement.verdict, judgement.mttr_s), (Verdict::Degraded, Some(5.0)));
    assert_eq!(judgement.blast_radius[0].endpoint, None);
}
