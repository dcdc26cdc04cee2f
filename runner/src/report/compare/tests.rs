//! What a comparison says, and that its forms say the same.

use super::*;
use crate::report::sample;

fn both() -> (Record, Record) {
    (sample::off(), sample::on())
}

#[test]
fn every_number_is_that_of_its_record() {
    let (a, b) = both();
    let comparison = compare(&a, &b);
    // All and three endpoints, three phases, six numbers.
    assert_eq!(comparison.numbers.len(), 4 * 3 * 6);
    for pair in &comparison.numbers {
        let endpoint = pair.endpoint.as_deref();
        assert_eq!(pair.a, pair.measure.of(a.part(pair.phase, endpoint).unwrap()));
        assert_eq!(pair.b, pair.measure.of(b.part(pair.phase, endpoint).unwrap()));
        if let Some(difference) = pair.difference {
            let (a, b) = (pair.a.unwrap(), pair.b.unwrap());
            assert!((a * (1.0 + difference) - b).abs() < 1e-9);
        }
    }
    assert_eq!((comparison.a.verdict, comparison.b.verdict), (Verdict::Failed, Verdict::Held));
    assert_eq!(comparison.differences, Vec::<String>::new());
}

#[test]
fn forms_are_current() {
    let (a, b) = both();
    let comparison = compare(&a, &b);
    sample::golden("compare.txt", &comparison.terminal(110, false));
    sample::golden("compare.md", &comparison.markdown());
    sample::golden("side_by_side.txt", &side_by_side(&a, &b, 110, false));
}

#[test]
fn json_is_read_back() {
    let (a, b) = both();
    let comparison = compare(&a, &b);
    let json = serde_json::to_string(&comparison).unwrap();
    let read: Comparison = serde_json::from_str(&json).unwrap();
    assert_eq!((&read.a, &read.b, &read.objectives), (&comparison.a, &comparison.b, &comparison.objectives));
    // To the last bit but one, as serde_json reads numbers of many digits.
    let close = |a: Option<f64>, b: Option<f64>| {
        a.is_some() == b.is_some() && a.zip(b).is_none_or(|(a, b)| (a - b).abs() < 1e-9)
    };
    for (read, written) in read.numbers.iter().zip(&comparison.numbers) {
        assert!(
            close(read.a, written.a)
                && close(read.b, written.b)
                && close(read.difference, written.difference)
        );
    }
}

#[test]
fn what_is_not_alike_is_told() {
    let (a, mut b) = both();
    b.load.seed += 1;
    b.faults[0].attributes.insert("latency".into(), 300.into());
    let told = compare(&a, &b).differences;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], "The runs differ in their seed: 7 and 8.");
    assert!(
        told[1].starts_with("The runs differ in their faults: latency on payments {\"latency\":200.0"),
        "{told:?}"
    );
}

#[test]
fn objectives_that_only_one_has_are_kept() {
    let (mut a, b) = both();
    let removed = a.judgement.objectives.remove(0);
    let comparison = compare(&a, &b);
    let pair = comparison
        .objectives
        .iter()
        .find(|pair| pair.slo == removed.slo && pair.phase == removed.phase)
        .unwrap();
    assert_eq!(pair.a, None);
    assert_eq!(pair.b.as_ref().unwrap().1, Some(true));
}

#[test]
fn better_and_worse_know_which_way_is_up() {
    let pair = |measure, a, b| Pair {
        phase: Phase::Fault,
        endpoint: None,
        measure,
        a: Some(a),
        b: Some(b),
        difference: None,
    };
    assert_eq!(pair(Measure::P99Ms, 100.0, 50.0).is_better(), Some(true));
    assert_eq!(pair(Measure::P99Ms, 100.0, 105.0).is_better(), None);
    assert_eq!(pair(Measure::EffectivePerS, 100.0, 50.0).is_better(), Some(false));
    assert_eq!(pair(Measure::ErrorRate, 0.0, 0.01).is_better(), Some(false));
    assert_eq!(pair(Measure::ErrorRate, 0.0, 0.0005).is_better(), None);
}

#[test]
fn the_page_escapes_what_people_wrote() {
    let (mut a, b) = both();
    a.title = "<script>alert(1)</script>".into();
    let page = compare(&a, &b).html(&a, &b).unwrap();
    assert!(!page.contains("<script"), "it has no script of its own either");
    assert!(page.contains("&#60;script&#62;alert(1)"));
}
