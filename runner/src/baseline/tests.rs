use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::check::checks;
use super::propose::{bound, propose};
use super::windows::{Spread, drift};
use super::{Noise, Proposal};
use crate::judge::{Observed, Phases, Slos};
use crate::load::Class;
use crate::outcome::{Fate, Outcome};
use crate::series::Series;
use crate::slo::{Names, Slo};

fn names() -> Names {
    let endpoints = vec![("GET /a".to_owned(), Class::Read), ("POST /b".to_owned(), Class::Write)];
    Names { endpoints, tenants: vec![String::new()] }
}

/// A minute at `rate` to each of two endpoints; `answer` says how long the nth of a second takes, and
/// whether it is answered as expected.
fn series(rate: u64, answer: impl Fn(u64, u64) -> (u64, Fate)) -> Series {
    let mut series = Series::default();
    for second in 0..60 {
        for (n, endpoint) in (0..rate).flat_map(|n| [(n, 0), (n, 1)]) {
            let intended = Duration::from_secs(second) + Duration::from_micros(n * 1_000_000 / rate);
            let (took_ms, fate) = answer(second, n);
            let done = intended + Duration::from_millis(took_ms);
            series.record(&Outcome { intended, sent: Some(intended), done, endpoint, tenant: 0, fate });
        }
    }
    series
}

/// Calls `with` with what was observed of a series of a minute.
fn seen<T>(series: &Series, with: impl FnOnce(&Observed<'_>) -> T) -> T {
    let (names, slis) = (names(), BTreeMap::new());
    let phases = Phases { baseline_s: 0, fault_s: 60, recovery_s: 60, end_s: 60 };
    with(&Observed { names: &names, series, slis: &slis, phases: &phases })
}

fn proposed(series: &Series) -> (Vec<Proposal>, Vec<String>) {
    let mut warnings = Vec::new();
    (seen(series, |observed| propose(observed, true, &mut warnings)), warnings)
}

fn noise(series: &Series, steady: &[&str], fault: &[&str]) -> Vec<Noise> {
    let read = |list: &[&str]| list.iter().map(|text| text.parse::<Slo>().unwrap()).collect();
    let slos = Slos { steady: read(steady), fault: read(fault), ..Slos::default() };
    seen(series, |observed| checks(observed, &slos)).iter().map(|check| check.noise).collect()
}

#[test]
fn a_calm_system_gets_an_objective_for_each_endpoint() {
    let (proposals, warnings) = proposed(&series(50, |_, n| (10 + n % 3, Fate::Ok)));
    let texts: Vec<&str> = proposals.iter().map(|proposal| proposal.slo.as_str()).collect();
    // A quarter above the worst window; three of the 250 requests of a window; a tenth below the rate.
    let each = ["p50 < 14ms", "p99 < 16ms", "error_rate < 1.2%"];
    let wanted: Vec<String> = ["GET /a", "POST /b"]
        .iter()
        .flat_map(|name| each.iter().map(move |slo| format!("{name} {slo}")))
        .collect();
    assert_eq!(texts[..6], wanted);
    assert_eq!(texts[6], "throughput > 90/s");
    assert_eq!((proposals[0].spread.windows, proposals[0].spread.window_s), (12, 5));
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_noisy_system_gets_more_room() {
    // One window of twelve is four times as slow.
    let (proposals, _) = proposed(&series(50, |second, _| (if second / 5 == 7 { 40 } else { 10 }, Fate::Ok)));
    // 40 ms and what it is above the median of 10 ms.
    assert_eq!(proposals[0].slo, "GET /a p50 < 70ms");
}

#[test]
fn too_few_requests_are_said_and_nothing_made_of_them() {
    // 60 requests of each endpoint: ten windows of ten for a median, but never a hundred for p99.
    let (proposals, warnings) = proposed(&series(1, |_, _| (10, Fate::Ok)));
    assert!(proposals.iter().all(|proposal| !proposal.slo.contains("p99")), "{proposals:?}");
    assert!(warnings.iter().any(|text| text.contains("`GET /a p99`: too few requests")), "{warnings:?}");
}

#[test]
fn nothing_is_made_of_a_system_that_only_fails() {
    let (proposals, warnings) = proposed(&series(50, |_, _| (10, Fate::Refused)));
    assert!(proposals.iter().all(|proposal| proposal.slo.starts_with("throughput")), "{proposals:?}");
    assert!(warnings.iter().any(|text| text.contains("at 100.0 % in the worst window")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("no request was answered as expected")), "{warnings:?}");
}

#[test]
fn objectives_stand_to_the_noise_as_they_do() {
    // Windows vary from 10 to 21 ms; every hundredth request fails.
    let series = series(50, |second, n| {
        let fate = if second % 2 == 0 && n == 0 { Fate::Timeout } else { Fate::Ok };
        (10 + second / 5, fate)
    });
    let steady = [
        "GET /a p50 < 15ms",
        "GET /a p50 < 22ms",
        "GET /a p50 < 60ms",
        "GET /a p50 < 1s",
        "error_rate < 1%",
        "error_rate < 60%",
        "throughput > 1/s",
        "GET /a availability >= 90%",
        "GET /a p50 < 30ms over 20s",
    ];
    use Noise::{Clear, Loose, Thin, Tight, Untold};
    // The last: three windows are no sample.
    assert_eq!(noise(&series, &steady, &[]), [Tight, Thin, Clear, Loose, Tight, Loose, Loose, Clear, Untold]);
    // While a fault is on, much may be allowed on purpose; too tight stays too tight.
    assert_eq!(
        noise(&series, &["GET /a p50 < 60ms"], &["GET /a p50 < 1s", "p50 < 15ms"]),
        [Clear, Clear, Tight]
    );
}

#[test]
fn a_warning_says_what_was_measured() {
    let series = series(50, |second, _| (if second < 10 { 40 } else { 10 }, Fate::Ok));
    let slos = Slos { steady: vec!["GET /a p50 < 20ms".parse().unwrap()], ..Slos::default() };
    let check = seen(&series, |observed| checks(observed, &slos)).remove(0);
    let warning = check.warning.unwrap();
    assert!(warning.contains("2 of 12 windows of 5 s break it, the worst at 40 ms"), "{warning}");
    assert!((check.broken_share - 2.0 / 12.0).abs() < 1e-9);
}

#[test]
fn a_system_that_is_still_warming_up_is_no_steady_state() {
    let cold = series(50, |second, _| (if second < 30 { 50 } else { 10 }, Fate::Ok));
    assert!(seen(&cold, drift).unwrap().contains("longer warm-up"));
    assert_eq!(seen(&series(50, |_, n| (10 + n % 5, Fate::Ok)), drift), None);
}

proptest! {
    // Each case makes and reads 3,600 requests.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The promise: what is proposed is met in every window that it was made of.
    #[test]
    fn the_noise_breaks_no_proposal(seed: u64, failing in 0u64..20) {
        let series = series(30, |second, n| {
            let draw = (seed ^ (second * 1000 + n)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let fate = if draw % 100 < failing { Fate::Refused } else { Fate::Ok };
            (1 + draw % 97, fate)
        });
        let (proposals, _) = proposed(&series);
        prop_assert!(proposals.len() >= 5, "{:?}", proposals);
        let texts: Vec<&str> = proposals.iter().map(|proposal| proposal.slo.as_str()).collect();
        for (found, text) in noise(&series, &texts, &[]).iter().zip(&texts) {
            prop_assert!(matches!(found, Noise::Clear | Noise::Loose), "{} is {:?}", text, found);
        }
    }

    #[test]
    fn a_bound_lies_beyond_the_worst_window(median in 0.0001f64..10.0, more in 0.0f64..10.0, requests in 1.0f64..1e5) {
        let upper: Slo = "p99 < 1s".parse().unwrap();
        let spread = Spread { windows: 12, window_s: 5, median, worst: median + more };
        let told = bound(&upper, &spread, requests);
        prop_assert!(told >= spread.worst * 1.24 && told <= (spread.worst * 2.0 + 0.001) * 1.11, "{told} for {spread:?}");
        let lower: Slo = "throughput > 1/s".parse().unwrap();
        let spread = Spread { worst: median / (1.0 + more), ..spread };
        prop_assert!(bound(&lower, &spread, requests) <= spread.worst * 0.91);
    }
}
