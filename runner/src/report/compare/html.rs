//! A comparison as one HTML file.

use askama::Template;

use super::{Comparison, Pair, Side};
use crate::judge::Phase;
use crate::record::Record;
use crate::report::html::icon;
use crate::report::{ReportError, plot, text};

#[derive(Template)]
#[template(path = "compare.html")]
struct Page<'a> {
    comparison: &'a Comparison,
    about: Option<&'a str>,
    names: [String; 2],
    sides: [(&'a Side, String, &'static str, [String; 2]); 2],
    groups: Vec<Group<'a>>,
    objectives: Vec<Row>,
}

/// The numbers of all requests, or of an endpoint.
struct Group<'a> {
    name: &'a str,
    phases: Vec<(&'static str, Vec<Line>)>,
}

struct Line {
    name: &'static str,
    a: String,
    b: String,
    difference: String,
    class: &'static str,
}

struct Row {
    name: String,
    phase: &'static str,
    sides: [(String, &'static str); 2],
}

pub(super) fn html(comparison: &Comparison, a: &Record, b: &Record) -> Result<String, ReportError> {
    let (about, names) = comparison.names();
    // One scale for both: a small fault must not look like a large one.
    let charts = [plot::latency, plot::errors].map(|of| {
        let (a, b) = (of(a), of(b));
        let (x, y) = (plot::Axis::joined(a.x, b.x), plot::Axis::joined(a.y, b.y));
        [a, b].map(|chart| plot::Chart { x, y, width: 560.0, height: 240.0, ..chart })
    });
    let side = |side, verdict, at: usize| {
        let [latency, errors] = [0, 1].map(|which: usize| {
            let chart = charts[which][at].clone();
            plot::Chart { id: format!("side-{at}-{}", chart.id), ..chart }.svg()
        });
        (side, names[at].clone(), icon(verdict), [latency, errors])
    };
    let page = Page {
        comparison,
        sides: [side(&comparison.a, a.judgement.verdict, 0), side(&comparison.b, b.judgement.verdict, 1)],
        about,
        names: names.clone(),
        groups: groups(comparison),
        objectives: objectives(comparison),
    };
    page.render().map_err(|error| ReportError(error.to_string()))
}

fn groups(comparison: &Comparison) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for pair in &comparison.numbers {
        let name = pair.endpoint.as_deref().unwrap_or("All requests");
        if groups.last().is_none_or(|group| group.name != name) {
            groups.push(Group { name, phases: Vec::new() });
        }
        let Some(group) = groups.last_mut() else { continue };
        let phase = pair.phase.name();
        if group.phases.last().is_none_or(|(last, _)| *last != phase) {
            group.phases.push((phase, Vec::new()));
        }
        if let Some((_, lines)) = group.phases.last_mut() {
            lines.push(line(pair));
        }
    }
    groups
}

fn line(pair: &Pair) -> Line {
    let class = match pair.is_better() {
        // Nothing was broken yet: a difference there is one of the machine, for better or worse.
        _ if pair.phase == Phase::Baseline => "",
        Some(true) => "better",
        Some(false) => "worse",
        None => "",
    };
    Line {
        name: pair.measure.name(),
        a: pair.measure.words(pair.a),
        b: pair.measure.words(pair.b),
        difference: pair.difference(),
        class,
    }
}

fn objectives(comparison: &Comparison) -> Vec<Row> {
    let said = |said: &Option<(String, Option<bool>)>| match said {
        Some((value, Some(true))) => (value.clone(), "met"),
        Some((value, Some(false))) => (value.clone(), "broken"),
        Some((value, None)) => (value.clone(), "nothing"),
        None => (text::NOTHING.to_owned(), "nothing"),
    };
    let row = |pair: &super::ObjectivePair| Row {
        name: match &pair.tenant {
            Some(tenant) => format!("{} – {tenant}", pair.slo),
            None => pair.slo.clone(),
        },
        phase: pair.phase.name(),
        sides: [said(&pair.a), said(&pair.b)],
    };
    comparison.objectives.iter().map(row).collect()
}
