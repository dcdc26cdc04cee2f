//! What the page shows.

use askama::Template;

use super::super::{plot, text, title};
use super::blast::Matrix;
use crate::judge::{Objective, Phase, Verdict};
use crate::record::{FarSide, FaultRecord, PhasePart, Record};

#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Page<'a> {
    record: &'a Record,
    title: String,
    verdict: &'static str,
    icon: &'static str,
    meaning: &'static str,
    reasons: Vec<Vec<(bool, &'a str)>>,
    warnings: Vec<Vec<(bool, &'a str)>>,
    expectation: Option<String>,
    tiles: Vec<Tile>,
    phases: Vec<(&'static str, String)>,
    faults: Vec<Fault<'a>>,
    charts: Charts,
    groups: Vec<Group<'a>>,
    endpoints: Vec<(&'a str, String)>,
    objectives: Vec<Row>,
    matrix: Matrix<'a>,
    far_side: Vec<FarRow<'a>>,
    slis: Vec<(&'a str, String)>,
    load: Vec<(&'static str, Number)>,
    codes: Vec<(&'a str, Number)>,
}

/// A number in words, with the place in the record where it stands as a JSON pointer: people read the
/// one, programs and tests the other.
#[derive(Clone, Debug)]
pub(super) struct Number {
    text: String,
    value: String,
    at: String,
}

impl Number {
    pub(super) fn new(text: String, value: f64, at: impl Into<String>) -> Self {
        Self { text, value: value.to_string(), at: at.into() }
    }
}

/// A figure worth a glance.
struct Tile {
    name: &'static str,
    /// In the baseline, under the fault, in the recovery; or one alone.
    numbers: Vec<Option<Number>>,
    note: String,
}

struct Fault<'a> {
    record: &'a FaultRecord,
    attributes: String,
    share: String,
    started: Option<Number>,
    stopped: Option<Number>,
    applied: Number,
}

struct Charts {
    latency: String,
    latency_is_log: bool,
    errors: String,
    rates: String,
    dropped: bool,
    heat: Option<(String, u32)>,
    recovery: Option<String>,
    point: String,
}

/// All requests, or an endpoint: a row for each phase.
struct Group<'a> {
    name: &'a str,
    rows: Vec<PhaseRow>,
}

struct PhaseRow {
    phase: &'static str,
    cells: Vec<Option<Number>>,
}

struct Row {
    slo: String,
    bound: String,
    /// In each phase: what was measured and whether it was met; none if it was not asked for there.
    phases: Vec<Option<Met>>,
}

struct Met {
    measured: Option<Number>,
    met: Option<bool>,
}

struct FarRow<'a> {
    record: &'a FarSide,
    rates: [Number; 3],
    amplification: String,
}

impl<'a> Page<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let judgement = &record.judgement;
        Self {
            record,
            title: title(record),
            verdict: judgement.verdict.name(),
            icon: icon(judgement.verdict),
            meaning: text::meaning(judgement.verdict),
            reasons: judgement.reasons.iter().map(|reason| text::parts(reason)).collect(),
            warnings: judgement.warnings.iter().map(|warning| text::parts(warning)).collect(),
            expectation: expectation(record),
            tiles: tiles(record),
            phases: phases(record),
            faults: record.faults.iter().enumerate().map(|(at, fault)| Fault::of(fault, at)).collect(),
            charts: Charts::of(record),
            groups: groups(record),
            endpoints: endpoints(record),
            objectives: objectives(record),
            matrix: Matrix::of(record),
            far_side: record.far_side.iter().enumerate().map(|(at, far)| FarRow::of(far, at)).collect(),
            slis: slis(record),
            load: load(record),
            codes: codes(record),
        }
    }
}

/// A sign that does not need a colour, as the path of a 16 × 16 picture.
pub(in crate::report) fn icon(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "M3 8.5l3.5 3.5L13 4.5",
        Verdict::Degraded => "M8 3v6.5M8 12.4v.2",
        Verdict::Failed => "M4 4l8 8M12 4l-8 8",
        Verdict::Aborted => "M4 8h8",
        Verdict::Invalid => "M5.4 5.6a2.6 2.6 0 1 1 3.9 2.3c-.9.5-1.3 1-1.3 1.9M8 12.7v.2",
    }
}

fn expectation(record: &Record) -> Option<String> {
    let expected = record.expect?;
    Some(match record.as_expected() {
        true => format!("as expected: {}", expected.name()),
        false => format!("expected was: {}", expected.name()),
    })
}

fn phases(record: &Record) -> Vec<(&'static str, String)> {
    let all = [Phase::WarmUp, Phase::Baseline, Phase::Fault, Phase::Recovery].into_iter();
    let length = |phase: Phase| record.phases.of(phase).count();
    all.filter(|phase| length(*phase) > 0)
        .map(|phase| (phase.name(), text::seconds(length(phase) as f64)))
        .collect()
}

fn tiles(record: &Record) -> Vec<Tile> {
    let each = |number: &dyn Fn(usize, &PhasePart) -> Option<Number>| {
        let of = |phase| {
            let at = record.parts.iter().position(|part| part.phase == phase && part.endpoint.is_none())?;
            number(at, &record.parts[at])
        };
        text::PHASES.map(of).to_vec()
    };
    let judgement = &record.judgement;
    let endpoints = record.endpoints.len() as u64;
    let hit = |endpoint: &&crate::record::EndpointTimeline| {
        judgement.blast_radius.iter().any(|hit| hit.endpoint.as_ref() == Some(&endpoint.name))
    };
    let left = record.endpoints.iter().filter(hit).count();
    let mttr = judgement.mttr_s.map(|mttr_s| Number::new(text::seconds(mttr_s), mttr_s, "/mttr_s"));
    vec![
        Tile { name: "p99 latency", numbers: each(&p99), note: "baseline → fault → recovery".into() },
        Tile {
            name: "Error rate", numbers: each(&error_rate), note: "baseline → fault → recovery".into()
        },
        Tile {
            name: "Answered as expected",
            numbers: each(&effective),
            note: "baseline → fault → recovery".into(),
        },
        Tile {
            name: "Time to recovery",
            numbers: vec![mttr],
            note: match judgement.recovery {
                Some(recovery) => {
                    format!("{} – {}", text::recovery(recovery), text::recovery_meaning(Some(recovery)))
                }
                None => text::recovery_meaning(None).to_owned(),
            },
        },
        Tile {
            name: "Blast radius",
            numbers: vec![Some(Number::new(format!("{left} of {endpoints}"), left as f64, ""))],
            note: "endpoints left an objective".into(),
        },
    ]
}

fn p99(at: usize, part: &PhasePart) -> Option<Number> {
    let p99 = part.latency_ms?.p99;
    Some(Number::new(text::millis(p99), p99, format!("/parts/{at}/latency_ms/p99")))
}

fn error_rate(at: usize, part: &PhasePart) -> Option<Number> {
    Some(Number::new(text::share(part.error_rate), part.error_rate, format!("/parts/{at}/error_rate")))
}

fn effective(at: usize, part: &PhasePart) -> Option<Number> {
    Some(Number::new(
        text::rate(part.effective_per_s),
        part.effective_per_s,
        format!("/parts/{at}/effective_per_s"),
    ))
}

impl<'a> Fault<'a> {
    fn of(record: &'a FaultRecord, at: usize) -> Self {
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

impl Charts {
    fn of(record: &Record) -> Self {
        let latency = plot::latency(record);
        let recovery = plot::recovery(record).filter(|chart| !chart.is_empty());
        let width = record.phases.end_s.div_ceil(600).max(1);
        let point = match width {
            1 => "Each point is a second.".to_owned(),
            _ => format!(
                "Each point stands for {width} s: the worst second of a percentile, the mean of a rate."
            ),
        };
        Self {
            latency_is_log: latency.is_log(),
            latency: latency.svg(),
            errors: plot::errors(record).svg(),
            rates: plot::rates(record).svg(),
            dropped: record.timeline.dropped.iter().any(|count| *count > 0),
            heat: plot::heat_map(record),
            recovery: recovery.map(|chart| chart.svg()),
            point,
        }
    }
}

fn groups(record: &Record) -> Vec<Group<'_>> {
    let each = record.endpoints.iter().map(|endpoint| Some(endpoint.name.as_str()));
    let group = |name: Option<&'_ str>| -> Vec<PhaseRow> {
        text::PHASES.into_iter().filter_map(|phase| PhaseRow::of(record, phase, name)).collect()
    };
    let all = std::iter::once(None).chain(each);
    all.map(|name| Group { name: name.unwrap_or("All requests"), rows: group(name) }).collect()
}

/// The picture of each endpoint that answered anything.
fn endpoints(record: &Record) -> Vec<(&str, String)> {
    let all = record.endpoints.iter().enumerate();
    let charts = all.filter_map(|(at, endpoint)| Some((endpoint.name.as_str(), plot::endpoint(record, at)?)));
    charts.filter(|(_, chart)| !chart.is_empty()).map(|(name, chart)| (name, chart.svg())).collect()
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
fn objectives(record: &Record) -> Vec<Row> {
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
    fn of(record: &'a FarSide, at: usize) -> Self {
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

fn slis(record: &Record) -> Vec<(&str, String)> {
    let all = record
        .slis
        .iter()
        .enumerate()
        .map(|(at, (name, values))| (name, plot::sli(record, at, name, values)));
    all.filter(|(_, chart)| !chart.is_empty()).map(|(name, chart)| (name.as_str(), chart.svg())).collect()
}

/// The load's own figures: whether it can be believed.
fn load(record: &Record) -> Vec<(&'static str, Number)> {
    let load = &record.load;
    let late =
        |name: &str, value: f64| Number::new(text::millis(value), value, format!("/load/lateness/{name}"));
    let count =
        |name: &str, value: u64| Number::new(value.to_string(), value as f64, format!("/load/{name}"));
    vec![
        ("late p50", late("p50", load.lateness.p50)),
        ("late p99", late("p99", load.lateness.p99)),
        ("late at worst", late("max", load.lateness.max)),
        ("requests offered", count("total/offered", load.total.offered)),
        ("connections opened", count("connections_opened", load.connections_opened)),
        ("sent again on a closed connection", count("resent", load.resent)),
        ("most under way at once", count("in_flight_max", u64::from(load.in_flight_max))),
        ("threads", count("workers", u64::from(load.workers))),
    ]
}

fn codes<'a>(record: &'a Record) -> Vec<(&'a str, Number)> {
    let pointer = |code: &str| format!("/load/codes/{}", code.replace('~', "~0").replace('/', "~1"));
    let one = |(code, count): (&'a String, &u64)| {
        (code.as_str(), Number::new(count.to_string(), *count as f64, pointer(code)))
    };
    record.load.codes.iter().map(one).collect()
}
