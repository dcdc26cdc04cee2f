//! A comparison in a terminal.

use std::fmt::Write as _;

use comfy_table::{Attribute, Cell, Color};

use super::{Comparison, Measure, Pair, Side};
use crate::report::terminal::{Paint, finished, paragraph, single_line};
use crate::report::text;

/// Verdicts and what all requests met.
pub(super) fn short(comparison: &Comparison, width: usize, colour: bool) -> String {
    let shown = [Measure::P50Ms, Measure::P99Ms, Measure::ErrorRate, Measure::EffectivePerS];
    all_requests(comparison, &shown, width, Paint { colour })
}

fn all_requests(comparison: &Comparison, shown: &[Measure], width: usize, paint: Paint) -> String {
    let mut table = paint.table(width);
    let (a, b) = (&comparison.a, &comparison.b);
    let (about, names) = comparison.names();
    let head = |text: &String| Cell::new(single_line(text)).add_attribute(Attribute::Bold);
    table.set_header([Cell::new(""), head(&names[0]), head(&names[1]), Cell::new("")]);
    table.add_row(verdicts(a, b));
    for (name, of) in facts() {
        table.add_row([
            Cell::new(name),
            Cell::new(single_line(&of(a))),
            Cell::new(single_line(&of(b))),
            Cell::new(""),
        ]);
    }
    for pair in comparison.of_all().filter(|pair| shown.contains(&pair.measure)) {
        table.add_row(row(&format!("{} {}", pair.phase.name(), pair.measure.name()), pair));
    }
    let mut out = about.map(|about| format!("  {}\n\n", paint.bold(&single_line(about)))).unwrap_or_default();
    out.push_str(&finished(table));
    out.push('\n');
    for (side, name) in [a, b].into_iter().zip(names) {
        let _ = writeln!(out, "  {}: {}", paint.bold(&single_line(&name)), side.verdict.name());
        for reason in &side.reasons {
            paragraph(&mut out, "    • ", &single_line(reason), width);
        }
    }
    for difference in &comparison.differences {
        paragraph(&mut out, "  ! ", &single_line(difference), width);
    }
    out
}

/// The same, with the numbers of each endpoint and the objectives.
pub(super) fn whole(comparison: &Comparison, width: usize, colour: bool) -> String {
    let paint = Paint { colour };
    let mut out = all_requests(comparison, &Measure::ALL, width, paint);
    let mut endpoint: Option<String> = None;
    let mut table = None;
    for pair in comparison.numbers.iter().filter(|pair| pair.endpoint.is_some()) {
        if endpoint != pair.endpoint {
            out.extend(table.take().map(finished));
            let _ =
                write!(out, "\n{}\n", paint.bold(&single_line(pair.endpoint.as_deref().unwrap_or_default())));
            endpoint.clone_from(&pair.endpoint);
        }
        let table = table.get_or_insert_with(|| paint.table(width));
        table.add_row(row(&format!("{} {}", pair.phase.name(), pair.measure.name()), pair));
    }
    out.extend(table.take().map(finished));
    let _ = write!(out, "\n{}\n", paint.bold("Objectives"));
    let mut table = paint.table(width);
    for pair in &comparison.objectives {
        let of = pair.tenant.as_deref().map(|tenant| format!(" ({tenant})")).unwrap_or_default();
        let name = single_line(&format!("{}: {}{of}", pair.phase.name(), pair.slo));
        table.add_row([Cell::new(name), objective(pair.a.as_ref()), objective(pair.b.as_ref())]);
    }
    out.push_str(&finished(table));
    out
}

fn verdicts(a: &Side, b: &Side) -> [Cell; 4] {
    let cell = |side: &Side| {
        let colour = match side.verdict.badness() {
            0 => Color::Green,
            1 => Color::Yellow,
            _ => Color::Red,
        };
        Cell::new(side.verdict.name().to_uppercase()).add_attribute(Attribute::Bold).fg(colour)
    };
    [Cell::new("verdict"), cell(a), cell(b), Cell::new("")]
}

type Fact = (&'static str, fn(&Side) -> String);

fn facts() -> [Fact; 3] {
    [
        ("blast radius", Side::hit),
        ("came through", |side| side.recovery().to_owned()),
        ("time to recovery", Side::mttr),
    ]
}

fn row(name: &str, pair: &Pair) -> [Cell; 4] {
    let difference = Cell::new(pair.difference());
    let difference = match pair.is_better() {
        Some(true) => difference.fg(Color::Green),
        Some(false) => difference.fg(Color::Red),
        None => difference,
    };
    [
        Cell::new(name),
        Cell::new(pair.measure.words(pair.a)),
        Cell::new(pair.measure.words(pair.b)),
        difference,
    ]
}

fn objective(said: Option<&(String, Option<bool>)>) -> Cell {
    let Some((value, met)) = said else { return Cell::new(text::NOTHING) };
    let cell = Cell::new(format!("{value}, {}", text::met(*met)));
    if *met == Some(false) { cell.fg(Color::Red) } else { cell }
}
