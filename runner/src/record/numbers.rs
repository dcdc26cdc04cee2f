//! The numbers of a record, computed from a series.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::{EndpointTimeline, HeatMap, Percentiles, PhasePart, Timeline};
use crate::judge::{Phase, Phases};
use crate::outcome::Fate;
use crate::series::{Latencies, Series, Tally};
use crate::slo::Names;

/// Classes of the heat map: eight for each factor of ten, from 0.1 ms to 100 s.
const PER_DECADE: i32 = 8;
const LOWEST_MS: f64 = 0.1;
const DECADES: i32 = 6;

/// Each phase in numbers, of all requests and of each endpoint; phases that were not reached are
/// left out.
#[must_use]
pub fn parts(series: &Series, names: &Names, phases: &Phases) -> Vec<PhasePart> {
    let mut parts = Vec::new();
    for phase in [Phase::WarmUp, Phase::Baseline, Phase::Fault, Phase::Recovery] {
        let seconds = phases.of(phase);
        if seconds.is_empty() {
            continue;
        }
        parts.push(part(phase, None, &series.tally(seconds.clone(), |_, _| true), &seconds));
        for (at, (name, _)) in names.endpoints.iter().enumerate() {
            let tally = series.tally(seconds.clone(), |endpoint, _| usize::from(endpoint) == at);
            parts.push(part(phase, Some(name), &tally, &seconds));
        }
    }
    parts
}

fn part(phase: Phase, endpoint: Option<&str>, tally: &Tally, seconds: &Range<u64>) -> PhasePart {
    let length = (seconds.end - seconds.start) as f64;
    let offered = tally.offered();
    let ok = tally.count(Fate::Ok);
    PhasePart {
        phase,
        endpoint: endpoint.map(str::to_owned),
        offered,
        offered_per_s: offered as f64 / length,
        effective_per_s: ok as f64 / length,
        error_rate: tally.error_rate().unwrap_or_default(),
        fates: fates(tally),
        latency_ms: percentiles(&tally.ok),
    }
}

fn fates(tally: &Tally) -> BTreeMap<String, u64> {
    let counted = Fate::ALL.into_iter().map(|fate| (fate.name().to_owned(), tally.count(fate)));
    counted.filter(|(_, count)| *count > 0).collect()
}

fn percentiles(latencies: &Latencies) -> Option<Percentiles> {
    let at = |q| latencies.quantile(q).map(millis);
    Some(Percentiles { p50: at(0.5)?, p90: at(0.9)?, p99: at(0.99)?, p999: at(0.999)? })
}

/// Milliseconds with as many digits as a histogram of 0.8 % deserves.
fn millis(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}

/// The seconds of the requests whose endpoint `chosen` takes.
#[must_use]
pub fn timeline(series: &Series, seconds: u64, chosen: impl Fn(u16) -> bool) -> Timeline {
    let mut timeline = Timeline::default();
    for second in 0..seconds {
        let tally = series.tally(second..second + 1, |endpoint, _| chosen(endpoint));
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let at = |q| tally.ok.quantile(q).map(millis);
        timeline.offered.push(count(tally.offered()));
        timeline.effective.push(count(tally.count(Fate::Ok)));
        timeline.dropped.push(count(tally.count(Fate::Dropped)));
        timeline.p50_ms.push(at(0.5));
        timeline.p90_ms.push(at(0.9));
        timeline.p99_ms.push(at(0.99));
    }
    timeline
}

/// The seconds of each endpoint.
#[must_use]
pub fn endpoints(series: &Series, names: &Names, seconds: u64) -> Vec<EndpointTimeline> {
    let one = |(at, (name, class)): (usize, &(String, _))| EndpointTimeline {
        name: name.clone(),
        class: *class,
        timeline: timeline(series, seconds, |endpoint| usize::from(endpoint) == at),
    };
    names.endpoints.iter().enumerate().map(one).collect()
}

/// How many requests of each second took how long.
#[must_use]
pub fn heat_map(series: &Series, seconds: u64) -> HeatMap {
    let bound = |at: i32| LOWEST_MS * 10f64.powf(f64::from(at) / f64::from(PER_DECADE));
    let bounds_ms: Vec<f64> = (0..=PER_DECADE * DECADES).map(bound).collect();
    let class = |latency: Duration| {
        let ms = latency.as_secs_f64() * 1e3;
        bounds_ms.partition_point(|bound| *bound < ms)
    };
    let one = |second| {
        let mut counts: Vec<u32> = Vec::new();
        for (latency, count) in series.tally(second..second + 1, |_, _| true).all().iter() {
            let at = class(latency);
            if counts.len() <= at {
                counts.resize(at + 1, 0);
            }
            counts[at] = counts[at].saturating_add(count);
        }
        counts
    };
    let seconds = (0..seconds).map(one).collect();
    HeatMap { bounds_ms, seconds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Class;
    use crate::outcome::Outcome;

    fn series() -> (Series, Names) {
        let mut series = Series::default();
        for second in 0..4u64 {
            for n in 0..100u64 {
                let intended = Duration::from_secs(second) + Duration::from_millis(n * 10);
                let (took, fate) = match (second, n) {
                    (2, 0..10) => (Duration::from_secs(2), Fate::Timeout),
                    (2, _) => (Duration::from_millis(100), Fate::Ok),
                    _ => (Duration::from_millis(10), Fate::Ok),
                };
                let endpoint = u16::from(n % 4 == 0);
                let done = intended + took;
                series.record(&Outcome { intended, sent: Some(intended), done, endpoint, tenant: 0, fate });
            }
        }
        let endpoints = vec![("read".to_owned(), Class::Read), ("write".to_owned(), Class::Write)];
        (series, Names { endpoints, tenants: vec![String::new()] })
    }

    #[test]
    fn a_phase_is_what_its_seconds_are() {
        let (series, names) = series();
        let phases = Phases { baseline_s: 0, fault_s: 2, recovery_s: 3, end_s: 4 };
        let parts = parts(&series, &names, &phases);
        assert_eq!(parts.len(), 9, "three phases, all and two endpoints each; no warm-up");
        let fault = parts.iter().find(|part| part.phase == Phase::Fault && part.endpoint.is_none()).unwrap();
        assert_eq!((fault.offered, fault.offered_per_s, fault.effective_per_s), (100, 100.0, 90.0));
        assert!((fault.error_rate - 0.1).abs() < 1e-9);
        assert_eq!(fault.fates, BTreeMap::from([("ok".into(), 90), ("timeout".into(), 10)]));
        assert!((fault.latency_ms.unwrap().p99 - 100.0).abs() < 1.0);
    }

    #[test]
    fn timelines_and_heat_map_count_every_request_once() {
        let (series, names) = series();
        let all = timeline(&series, 5, |_| true);
        assert_eq!(all.offered, [100, 100, 100, 100, 0]);
        assert_eq!(all.effective, [100, 100, 90, 100, 0]);
        assert_eq!(all.p50_ms[4], None);
        let each: u32 = endpoints(&series, &names, 5).iter().flat_map(|e| e.timeline.offered.clone()).sum();
        assert_eq!(each, 400);
        let map = heat_map(&series, 5);
        assert_eq!(map.seconds.iter().flatten().sum::<u32>(), 400);
        // The class of the slowest second holds the ten that took 2 s.
        let last = map.seconds[2].len() - 1;
        assert_eq!(map.seconds[2][last], 10);
        assert!(map.bounds_ms[last] >= 2000.0 && map.bounds_ms[last - 1] < 2000.0);
    }
}
