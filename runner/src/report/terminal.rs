//! The last thing that a run says in a terminal.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table};

use super::{text, title};
use crate::judge::{Phase, Verdict};
use crate::record::{PhasePart, Record};

/// Narrower than this nothing can be laid out.
const NARROWEST: usize = 40;

/// From this width on the table has all columns; below it goes without some of them.
const WIDE: usize = 76;
const SPARED: [usize; 3] = [2, 4, 6];

/// The verdict, its reasons, one table and the command: at most `width` cells wide where words allow
/// it, with the terminal's own colours if `colour`.
#[must_use]
pub fn terminal(record: &Record, width: usize, colour: bool) -> String {
    let width = width.max(NARROWEST);
    let paint = Paint { colour };
    let judgement = &record.judgement;
    let mut out = String::new();
    let word = format!(" {} ", judgement.verdict.name().to_uppercase());
    let _ = writeln!(
        out,
        "{}  {}",
        paint.verdict(judgement.verdict, &word),
        paint.bold(&single_line(&title(record)))
    );
    for reason in &judgement.reasons {
        paragraph(&mut out, "  • ", &single_line(reason), width);
    }
    if let (Some(expected), false) = (record.expect, record.as_expected()) {
        paragraph(&mut out, "  • ", &format!("Expected was: {}.", expected.name()), width);
    }
    for warning in &judgement.warnings {
        paragraph(&mut out, "  ! ", &single_line(warning), width);
    }
    out.push('\n');
    out.push_str(&table(record, width, paint));
    out.push('\n');
    for (name, value) in facts(record) {
        paragraph(&mut out, &format!("  {name:<14} "), &value, width);
    }
    out
}

fn table(record: &Record, width: usize, paint: Paint) -> String {
    let mut table = paint.table(width);
    let head = |name: &&str| Cell::new(*name).add_attribute(Attribute::Dim);
    let names = ["", "P50", "P90", "P99", "P99.9", "ERRORS", "OFFERED", "EFFECTIVE"];
    let shown = |at: &usize| width >= WIDE || !SPARED.contains(at);
    table.set_header(names.iter().enumerate().filter(|(at, _)| shown(at)).map(|(_, name)| head(name)));
    for phase in text::PHASES {
        if let Some(part) = record.part(phase, None) {
            let row = row(phase, part).into_iter().enumerate();
            table.add_row(row.filter(|(at, _)| shown(at)).map(|(_, cell)| cell));
        }
    }
    finished(table)
}

fn row(phase: Phase, part: &PhasePart) -> Vec<Cell> {
    let latency = |ms: Option<f64>| Cell::new(ms.map_or_else(|| text::NOTHING.to_owned(), text::millis));
    let latencies = part.latency_ms;
    let errors = Cell::new(text::share(part.error_rate));
    let name = Cell::new(phase.name());
    vec![
        if phase == Phase::Fault { name.add_attribute(Attribute::Bold) } else { name },
        latency(latencies.map(|l| l.p50)),
        latency(latencies.map(|l| l.p90)),
        latency(latencies.map(|l| l.p99)).add_attribute(Attribute::Bold),
        latency(latencies.map(|l| l.p999)),
        if part.error_rate > 0.0 { errors.fg(Color::Red) } else { errors },
        Cell::new(text::rate(part.offered_per_s)),
        Cell::new(text::rate(part.effective_per_s)),
    ]
}

fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let judgement = &record.judgement;
    let fault = |fault: &crate::record::FaultRecord| {
        format!("{} on {}, acted {} times", fault.kind, single_line(&fault.proxy), fault.applied)
    };
    let faults: Vec<_> = record.faults.iter().map(fault).collect();
    let mut facts = Vec::new();
    if !faults.is_empty() {
        facts.push(("fault", faults.join("; ")));
    }
    facts.push(("blast radius", blast_radius(record)));
    let recovery =
        judgement.recovery.map(|recovery| format!(" ({})", text::recovery(recovery))).unwrap_or_default();
    facts.push(("recovery", format!("{}{recovery}", text::mttr(judgement))));
    if let Some(lateness) = record.load.lateness {
        facts.push((
            "load was late",
            format!("p50 {}, p99 {}", text::millis(lateness.p50), text::millis(lateness.p99)),
        ));
    }
    facts.push(("again", single_line(&record.command)));
    facts
}

/// The endpoints that left an objective.
pub(super) fn blast_radius(record: &Record) -> String {
    let hits = &record.judgement.blast_radius;
    let is_hit = |name: &str| hits.iter().any(|hit| hit.endpoint.as_deref() == Some(name));
    let hit: Vec<_> = record
        .endpoints
        .iter()
        .map(|e| e.name.as_str())
        .filter(|name| is_hit(name))
        .map(single_line)
        .collect();
    match hit.len() {
        0 if hits.is_empty() => "none".to_owned(),
        0 => "no endpoint by itself".to_owned(),
        count => format!(
            "{count} of {}: {}",
            text::count(record.endpoints.len() as u64, "endpoint", "endpoints"),
            hit.join(", ")
        ),
    }
}

/// Colours, or none.
#[derive(Clone, Copy)]
pub(super) struct Paint {
    pub colour: bool,
}

impl Paint {
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// White on the verdict's colour.
    pub(super) fn verdict(self, verdict: Verdict, word: &str) -> String {
        let code = match verdict {
            Verdict::Held => "1;37;42",
            Verdict::Degraded => "1;30;43",
            Verdict::Failed => "1;37;41",
            Verdict::Aborted => "1;37;45",
            Verdict::Invalid => "1;37;100",
        };
        if self.colour { self.with(code, word) } else { word.trim().to_owned() }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Columns without lines.
    pub(super) fn table(self, width: usize) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }
}

/// A table as text, its numbers to the right, indented.
pub(super) fn finished(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding(if column.index == 0 { (2, 2) } else { (0, 2) });
        if column.index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Words after a mark, further lines below the first one's words.
pub(super) fn paragraph(out: &mut String, mark: &str, text: &str, width: usize) {
    let indent = mark.chars().count();
    let mut line = mark.to_owned();
    let mut used = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > indent && used + 1 + length > width {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(indent);
            used = indent;
        }
        if used > indent {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

/// Text of others may hold what a terminal obeys.
pub(super) fn single_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn it_says_all_at_a_glance_and_is_current() {
        sample::golden("off.txt", &terminal(&sample::off(), 100, false));
        sample::golden("on.narrow.txt", &terminal(&sample::on(), 60, false));
    }

    #[test]
    fn lines_fit() {
        for width in [60, 80, 120] {
            let text = terminal(&sample::off(), width, false);
            // The command may be one long word; nothing else is.
            for line in text.lines().filter(|line| !line.contains("experiments/")) {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn colours_are_all_that_colour_adds() {
        let coloured = terminal(&sample::off(), 100, true);
        assert!(coloured.contains("\u{1b}[1;37;41m FAILED \u{1b}[0m"), "{coloured:?}");
        assert!(!terminal(&sample::off(), 100, false).contains('\u{1b}'));
    }

    #[test]
    fn what_a_terminal_would_obey_is_left_out() {
        let mut record = sample::off();
        record.title = "\u{1b}[2J\rgone".into();
        assert!(!terminal(&record, 80, false).contains(['\u{1b}', '\r']));
    }
}
