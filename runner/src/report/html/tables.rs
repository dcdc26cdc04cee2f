//! The tables of the page.

use super::super::text;
use super::number::{Number, error_rate};
use crate::judge::{Objective, Phase};
use crate::record::{FarSide, FaultRecord, PhasePart, Record};

pub(super) struct Fault<'a> {
    pub(super) record: &'a FaultRecord,
    pub(super) attributes: String,
    pub(super) share: String,
    pub(super) started: Option<Number>,
    pub(super) stopped: Option<Number>,
    pub(super) applied: Number,
}

/// All requests, or an endpoint: a row for each phase.
pub(super) struct Group<'a> {
    pub(super) name: &'a str,
    pub(super) rows: Vec<PhaseRow>,
}

pub(super) struct PhaseRow {
    pub(super) phase: &'static str,
    pub(super) cells: Vec<Option<Number>>,
}

pub(super) struct Row {
    pub(super) slo: String,
    pub(super) bound: String,
    /// In each phase: what was measured and whether it was met; none if it was not asked for there.
    pub(super) phases: Vec<Option<Met>>,
}

pub(super) struct Met {
    pub(super) measured: Option<Number>,
    pub(super) met: Option<bool>,
}

pub(super) struct FarRow<'a> {
    pub(super) record: &'a FarSide,
    pub(super) rates: [Number; 3],
    pub(super) amplification: String,
}

impl<'a> Fault<'a> {
    pub(super) fn of(record: &'a FaultRecord, at: usize) -> Self {
        let moment = |value: Option<f64>, name: &str| {
            value.map(|s| Number::new(format!("{s:.1} s"), s, format!("/faults/{at}/{name}")))
        };
        Self {
            record,
            attributes: text::attributes(record),
            share: text::share(record.toxicity),
            started: moment(record.started_s, "started_s"),
            stopped: moment(record.stopped_s, "stopped_s"),
            applied: Number::new(
                record.applied.to_string(),
                record.applied as f64,
                format!("/faults/{at}/applied"),
            ),
        }
    }
}

pub(super) fn groups(record: &Record) -> Vec<Group<'_>> {
    let each = record.endpoints.iter().map(|endpoint| Some(endpoint.name.as_str()));
    let group = |name: Option<&'_ str>| -> Vec<PhaseRow> {
        text::PHASES.into_iter().filter_map(|phase| PhaseRow::of(record, phase, name)).collect()
    };
    let all = std::iter::once(None).chain(each);
    all.map(|name| Group { name: name.unwrap_or("All requests"), rows: group(name) }).collect()
}

impl PhaseRow {
    fn of(record: &Record, phase: Phase, endpoint: Option<&str>) -> Option<Self> {
        let is_it = |part: &PhasePart| part.phase == phase && part.endpoint.as_deref() == endpoint;
        let at = record.parts.iter().position(is_it)?;
        let part = &record.parts[at];
        let latency = |name: &str, value: f64| {
            Number::new(text::millis(value), value, format!("/parts/{at}/latency_ms/{name}"))
        };
        let rate = |name: &str, value: f64| {
            Some(Number::new(text::rate(value), value, format!("/parts/{at}/{name}")))
        };
        let cells = vec![
            part.latency_ms.map(|latencies| latency("p50", latencies.p50)),
            part.latency_ms.map(|latencies| latency("p90", latencies.p90)),
            part.latency_ms.map(|latencies| latency("p99", latencies.p99)),
            part.latency_ms.map(|latencies| latency("p999", latencies.p999)),
            error_rate(at, part),
            rate("offered_per_s", part.offered_per_s),
            rate("effective_per_s", part.effective_per_s),
        ];
        Some(Self { phase: phase.name(), cells })
    }
}

/// A row for each objective and tenant, a column for each phase.
pub(super) fn objectives(record: &Record) -> Vec<Row> {
    let all = &record.judgement.objectives;
    let mut rows: Vec<(&Objective, Row)> = Vec::new();
    for (at, objective) in all.iter().enumerate() {
        let Some(column) = text::PHASES.iter().position(|phase| *phase == objective.phase) else { continue };
        let same =
            |(other, _): &(&Objective, Row)| other.slo == objective.slo && other.tenant == objective.tenant;
        let row = rows.iter().position(same).unwrap_or_else(|| {
            let of = objective.tenant.as_deref().map(|tenant| format!(" – {tenant}")).unwrap_or_default();
            let phases = text::PHASES.iter().map(|_| None).collect();
            let row = Row { slo: format!("{}{of}", objective.slo), bound: text::bound(objective), phases };
            rows.push((objective, row));
            rows.len() - 1
        });
        let number = |value| Number::new(text::measured(objective), value, format!("/objectives/{at}/value"));
        rows[row].1.phases[column] = Some(Met { measured: objective.value.map(number), met: objective.met });
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

impl<'a> FarRow<'a> {
    pub(super) fn of(record: &'a FarSide, at: usize) -> Self {
        let rate =
            |name: &str, value: f64| Number::new(text::rate(value), value, format!("/far_side/{at}/{name}"));
        let rates = [
            rate("baseline_per_s", record.baseline_per_s),
            rate("fault_per_s", record.fault_per_s),
            rate("recovery_per_s", record.recovery_per_s),
        ];
        let amplification =
            record.amplification().map_or_else(|| text::NOTHING.to_owned(), |times| format!("{times:.2}×"));
        Self { record, rates, amplification }
    }
}

/// The load's own figures: whether it can be believed.
pub(super) fn load(record: &Record) -> Vec<(&'static str, Number)> {
    let load = &record.load;
    let late =
        |name: &str, value: f64| Number::new(text::millis(value), value, format!("/load/lateness/{name}"));
    let count =
        |name: &str, value: u64| Number::new(value.to_string(), value as f64, format!("/load/{name}"));
    let of_lateness = load.lateness.map(|lateness| {
        [
            ("late p50", late("p50", lateness.p50)),
            ("late p99", late("p99", lateness.p99)),
            ("late at worst", late("max", lateness.max)),
        ]
    });
    let mut figures: Vec<_> = of_lateness.into_iter().flatten().collect();
    figures.extend([
        ("requests offered", count("total/offered", load.total.offered)),
        ("connections opened", count("connections_opened", load.connections_opened)),
        ("sent again on a closed connection", count("resent", load.resent)),
        ("most under way at once", count("in_flight_max", u64::from(load.in_flight_max))),
        ("threads", count("workers", u64::from(load.workers))),
    ]);
    figures
}

pub(super) fn codes<'a>(record: &'a Record) -> Vec<(&'a str, Number)> {
    let pointer = |code: &str| format!("/load/codes/{}", code.replace('~', "~0").replace('/', "~1"));
    let one = |(code, count): (&'a String, &u64)| {
        (code.as_str(), Number::new(count.to_string(), *count as f64, pointer(code)))
    };
    record.load.codes.iter().map(one).collect()
}
