//! What the page shows, from its head to its foot.

use askama::Template;

use super::super::{plot, text, title};
use super::blast::Matrix;
use super::charts::{self, Charts};
use super::number::{Number, error_rate};
use super::tables::{self, FarRow, Fault, Group, Row};
use crate::judge::{Phase, Verdict};
use crate::record::{PhasePart, Record};

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

/// A figure worth a glance.
struct Tile {
    name: &'static str,
    /// In the baseline, under the fault, in the recovery; or one alone.
    numbers: Vec<Option<Number>>,
    note: String,
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
            groups: tables::groups(record),
            endpoints: charts::endpoints(record),
            objectives: tables::objectives(record),
            matrix: Matrix::of(record),
            far_side: record.far_side.iter().enumerate().map(|(at, far)| FarRow::of(far, at)).collect(),
            slis: charts::slis(record),
            load: tables::load(record),
            codes: tables::codes(record),
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

fn effective(at: usize, part: &PhasePart) -> Option<Number> {
    Some(Number::new(
        text::rate(part.effective_per_s),
        part.effective_per_s,
        format!("/parts/{at}/effective_per_s"),
    ))
}
