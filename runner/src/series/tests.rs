use std::time::Duration;

use super::Series;
use crate::outcome::{Fate, Outcome};

fn outcome(intended_ms: u64, latency_ms: u64, endpoint: u16, tenant: u16, fate: Fate) -> Outcome {
    let intended = Duration::from_millis(intended_ms);
    let done = intended + Duration::from_millis(latency_ms);
    Outcome { intended, sent: Some(intended), done, endpoint, tenant, fate }
}

fn series(outcomes: &[Outcome]) -> Series {
    let mut series = Series::default();
    outcomes.iter().for_each(|outcome| series.record(outcome));
    series
}

fn sample() -> Vec<Outcome> {
    vec![
        outcome(100, 10, 0, 0, Fate::Ok),
        outcome(900, 5000, 0, 1, Fate::Timeout),
        outcome(2100, 20, 1, 0, Fate::Ok),
        outcome(2200, 30, 1, 1, Fate::Refused),
        outcome(2300, 40, 0, 0, Fate::Dropped),
    ]
}

#[test]
fn a_request_counts_in_the_second_it_was_meant_to_start_in() {
    let series = series(&sample());
    let seconds: Vec<u64> = (0..4).map(|at| series.tally(at..at + 1, |_, _| true).offered()).collect();
    // The one that ended at 5.9 s was meant for 0.9 s.
    assert_eq!(seconds, [2, 0, 3, 0]);
    assert_eq!(series.seconds().len(), 3);
    assert!(series.seconds()[1].cells().is_empty());
}

#[test]
fn windows_and_subsets_add_up_to_the_whole() {
    let series = series(&sample());
    let whole = series.total();
    assert_eq!(whole.offered(), 5);
    assert_eq!(whole.errors(), 3);
    assert_eq!(whole.count(Fate::Timeout), 1);
    let mut halves = series.tally(0..2, |_, _| true);
    halves.merge(&series.tally(2..9, |_, _| true));
    assert_eq!(halves, whole);
    let mut tenants = series.tally(0..9, |_, tenant| tenant == 0);
    tenants.merge(&series.tally(0..9, |_, tenant| tenant == 1));
    assert_eq!(tenants, whole);
    assert_eq!(series.tally(0..9, |endpoint, _| endpoint == 1).offered(), 2);
    // Backwards and past the end there is nothing.
    #[allow(clippy::reversed_empty_ranges, reason = "that is the point")]
    let backwards = series.tally(3..1, |_, _| true);
    assert_eq!(backwards.offered() + series.tally(50..60, |_, _| true).offered(), 0);
}

#[test]
fn good_and_failed_latencies_are_kept_apart() {
    let total = series(&sample()).total();
    let near = |told: Option<Duration>, ms: f64| (told.unwrap().as_secs_f64() * 1e3 - ms).abs() <= ms / 100.0;
    assert!(near(total.ok.quantile(1.0), 20.0));
    assert!(near(total.failed.quantile(1.0), 5000.0));
    assert_eq!(total.ok.count() + total.failed.count(), total.offered());
    assert_eq!(total.all().count(), 5);
}

#[test]
fn merging_series_is_recording_both() {
    let sample = sample();
    let (a, b) = sample.split_at(2);
    let mut merged = series(a);
    merged.merge(&series(b));
    assert_eq!(merged, series(&sample));
}

#[test]
fn it_survives_json() {
    let series = series(&sample());
    let text = serde_json::to_string(&series).unwrap();
    assert_eq!(serde_json::from_str::<Series>(&text).unwrap(), series);
    assert!(text.starts_with(r#"[[{"endpoint":0,"tenant":0,"fates":[1,0,0,0,0,0,0,0],"#), "{text}");
}
