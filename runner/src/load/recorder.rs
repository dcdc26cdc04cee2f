//! Keeps what a summary is made of while the load runs.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::code::Code;
use super::engine::{Ended, cause};
use super::ready::Load;
use super::sink::{Batch, Sink};
use super::summary::{EndpointPart, NamedPart, Part, Quantiles, Summary};
use crate::outcome::{Fate, Outcome};
use crate::series::{Latencies, Second, Series, Tally};

/// Three digits; grows with what it has to hold.
const DIGITS: u8 = 3;

/// Takes every outcome in: histograms in total and by endpoint, and the series.
#[derive(Debug)]
pub struct Recorder {
    series: Series,
    total: Times,
    endpoints: Vec<Times>,
    lateness: Histogram<u64>,
    codes: BTreeMap<(u16, Code), u64>,
    causes: BTreeMap<String, u64>,
    connections_opened: u64,
    resent: u64,
    in_flight: BTreeMap<u16, u32>,
    in_flight_max: u32,
}

/// Latencies in microseconds.
#[derive(Debug)]
struct Times {
    ok: Histogram<u64>,
    all: Histogram<u64>,
}

impl Times {
    fn new() -> Self {
        Self { ok: histogram(), all: histogram() }
    }

    fn record(&mut self, outcome: &Outcome) {
        if outcome.fate == Fate::Cut {
            return;
        }
        let us = micros(outcome.latency());
        note(&mut self.all, us);
        if outcome.fate == Fate::Ok {
            note(&mut self.ok, us);
        }
    }
}

impl Recorder {
    /// For the outcomes of `load`.
    #[must_use]
    pub fn new(load: &Load) -> Self {
        Self {
            series: Series::default(),
            total: Times::new(),
            endpoints: load.endpoints.iter().map(|_| Times::new()).collect(),
            lateness: histogram(),
            codes: BTreeMap::new(),
            causes: BTreeMap::new(),
            connections_opened: 0,
            resent: 0,
            in_flight: BTreeMap::new(),
            in_flight_max: 0,
        }
    }

    /// What became of the load so far, second by second.
    #[must_use]
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Requests under way, as the workers last said.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.values().sum()
    }

    /// The numbers of the whole, and the series they stand on.
    #[must_use]
    pub fn finish(self, load: &Load, ended: Ended) -> (Summary, Series) {
        let seconds = ended.offered_for.as_secs_f64().max(1e-9);
        let part = |tally: &Tally, ok, all| part(tally, seconds, ok, all);
        let of = |times: &Times| (quantiles(&times.ok), quantiles(&times.all));
        let by_endpoint = sums(&self.series, |endpoint, _| endpoint);
        let by_tenant = sums(&self.series, |_, tenant| tenant);
        let endpoints = load.endpoints.iter().zip(&self.endpoints).enumerate().map(|(at, (ready, times))| {
            let (ok, all) = of(times);
            let tally = by_endpoint.get(&(at as u16)).cloned().unwrap_or_default();
            let codes = self.codes.iter().filter(|((endpoint, _), _)| usize::from(*endpoint) == at);
            EndpointPart {
                name: ready.name.clone(),
                class: ready.class,
                part: part(&tally, ok, all),
                codes: codes.map(|((_, code), count)| (code.to_string(), *count)).collect(),
            }
        });
        let mut tenants: Vec<NamedPart> = by_tenant
            .iter()
            .map(|(tenant, tally)| NamedPart {
                name: load.tenants.get(usize::from(*tenant)).cloned().unwrap_or_default(),
                part: part(tally, sparse(&tally.ok), sparse(&tally.all())),
            })
            .collect();
        tenants.sort_by_key(|tenant| std::cmp::Reverse(tenant.part.offered));
        let mut codes = BTreeMap::new();
        for ((_, code), count) in &self.codes {
            *codes.entry(code.to_string()).or_default() += count;
        }
        let (ok, all) = of(&self.total);
        let total = by_endpoint.values().fold(Tally::default(), |mut total, tally| {
            total.merge(tally);
            total
        });
        let summary = Summary {
            seed: load.plan.seed,
            duration_s: ended.offered_for.as_secs_f64(),
            stopped: ended.stopped,
            workers: ended.workers,
            total: part(&total, ok, all),
            endpoints: endpoints.collect(),
            tenants,
            lateness: quantiles(&self.lateness),
            codes,
            causes: self.causes,
            connections_opened: self.connections_opened,
            resent: self.resent,
            in_flight_max: self.in_flight_max,
        };
        (summary, self.series)
    }
}

impl Sink for Recorder {
    fn take(&mut self, batch: &Batch) {
        for outcome in &batch.outcomes {
            self.series.record(outcome);
            self.total.record(outcome);
            if let Some(times) = self.endpoints.get_mut(usize::from(outcome.endpoint)) {
                times.record(outcome);
            }
            if let Some(lateness) = outcome.lateness() {
                note(&mut self.lateness, micros(lateness));
            }
        }
        for (key, count) in &batch.codes {
            *self.codes.entry(*key).or_default() += count;
        }
        for (cause, count) in &batch.causes {
            let known = self.causes.contains_key(cause) || self.causes.len() < cause::MOST;
            let cause = if known { cause.as_str() } else { cause::OTHERS };
            *self.causes.entry(cause.to_owned()).or_default() += count;
        }
        self.connections_opened += batch.connections_opened;
        self.resent += batch.resent;
        self.in_flight.insert(batch.worker, batch.in_flight);
        self.in_flight_max = self.in_flight_max.max(self.in_flight());
    }
}

fn sums(series: &Series, key: impl Fn(u16, u16) -> u16) -> BTreeMap<u16, Tally> {
    let mut sums: BTreeMap<u16, Tally> = BTreeMap::new();
    for cell in series.seconds().iter().flat_map(Second::cells) {
        sums.entry(key(cell.endpoint, cell.tenant)).or_default().merge(&cell.tally);
    }
    sums
}

fn part(
    tally: &Tally,
    seconds: f64,
    latency_ms: Option<Quantiles>,
    latency_all_ms: Option<Quantiles>,
) -> Part {
    let offered = tally.offered();
    let fates = Fate::ALL.iter().filter(|fate| tally.count(**fate) > 0);
    Part {
        offered,
        offered_per_s: offered as f64 / seconds,
        effective_per_s: tally.count(Fate::Ok) as f64 / seconds,
        error_rate: tally.error_rate().unwrap_or_default(),
        fates: fates.map(|fate| (fate.name().to_owned(), tally.count(*fate))).collect(),
        latency_ms,
        latency_all_ms,
    }
}

fn histogram() -> Histogram<u64> {
    #[allow(clippy::expect_used, reason = "fails for more than five digits only")]
    Histogram::new(DIGITS).expect("three digits are fine")
}

/// A week: no request takes longer, since no load does.
const LONGEST_US: u64 = 7 * 86_400 * 1_000_000;

fn note(times: &mut Histogram<u64>, us: u64) {
    // It fails only where the histogram may not grow, which these may.
    let _ = times.record(us.min(LONGEST_US));
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn quantiles(times: &Histogram<u64>) -> Option<Quantiles> {
    let ms = |us: u64| us as f64 / 1000.0;
    (!times.is_empty()).then(|| Quantiles {
        mean: times.mean() / 1000.0,
        p50: ms(times.value_at_quantile(0.5)),
        p90: ms(times.value_at_quantile(0.9)),
        p99: ms(times.value_at_quantile(0.99)),
        p999: ms(times.value_at_quantile(0.999)),
        max: ms(times.max()),
    })
}

fn sparse(times: &Latencies) -> Option<Quantiles> {
    let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1000.0;
    let at = |q| times.quantile(q).map(ms);
    Some(Quantiles {
        mean: times.mean().map(ms)?,
        p50: at(0.5)?,
        p90: at(0.9)?,
        p99: at(0.99)?,
        p999: at(0.999)?,
        max: at(1.0)?,
    })
}
