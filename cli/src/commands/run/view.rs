//! What a run shows while it lasts: on a terminal a block that is drawn anew each second, elsewhere a
//! line for each phase and every ten seconds.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

use owo_colors::OwoColorize;
use sabot_runner::judge::Phase;
use sabot_runner::load::Summary;
use sabot_runner::record::Record;
use sabot_runner::report;
use sabot_runner::run::{Observer, Progress};

use super::files::OneRun;
use crate::fold::fold;
use crate::output::Output;

const BAR: usize = 40;

/// Goes to stderr, so that stdout holds records alone.
pub(super) struct View {
    terminal: bool,
    /// Cells of a line of it.
    width: usize,
    /// Lines of the block that is on the screen.
    drawn: usize,
    phase: Option<Phase>,
}

impl View {
    pub(super) fn new(output: &Output, (at, count): (usize, usize), run: &OneRun) -> Self {
        let (terminal, width) = (std::io::stderr().is_terminal(), output.width());
        let view = Self { terminal, width, drawn: 0, phase: None };
        if !output.is_json() {
            let of = if count > 1 { format!("[{at}/{count}] ") } else { String::new() };
            let variant = run.variant.as_ref().map(|variant| format!(" · {variant}")).unwrap_or_default();
            let title = format!("{}{variant}", run.experiment.title);
            let title = title.bold().to_string();
            write(&format!("{of}{title}\n  {}\n", run.experiment.hypothesis.trim()));
        }
        view
    }

    /// The end of a run, for people.
    pub(super) fn verdict(&mut self, record: &Record, output: &Output) {
        self.clear();
        write(&report::terminal(record, output.width(), output.has_colours()));
        if let Some(why) = why_not(&record.load) {
            write(&format!("  {:<14} {}\n", "answers", fold(&why, 17, Some(self.width), 17)));
        }
    }

    fn clear(&mut self) {
        if self.drawn > 0 {
            write(&format!("\x1b[{}A\x1b[J", self.drawn));
            self.drawn = 0;
        }
    }
}

impl Observer for View {
    fn second(&mut self, progress: &Progress) {
        let began = self.phase != Some(progress.phase);
        self.phase = Some(progress.phase);
        if self.terminal {
            let block = block(progress, self.width);
            self.clear();
            self.drawn = block.lines().count();
            write(&block);
        } else if began || progress.elapsed_s.is_multiple_of(10) || progress.left_s == 0 {
            write(&format!("  {}\n", line(progress)));
        }
    }

    fn said(&mut self, line: &str) {
        self.clear();
        write(&format!("  {line}\n"));
    }
}

/// What requests met that were not answered as expected; none if all were.
fn why_not(load: &Summary) -> Option<String> {
    let counts = |counts: &BTreeMap<String, u64>| {
        counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    if load.total.error_rate <= 0.0 {
        return None;
    }
    let codes = (!load.codes.is_empty()).then(|| format!("by code {}", counts(&load.codes)));
    let causes = load.told_causes().map(|causes| format!("because {causes}"));
    let ended = format!("ended as {}", counts(&load.total.fates));
    Some([Some(ended), codes, causes].into_iter().flatten().collect::<Vec<_>>().join("; "))
}

fn line(progress: &Progress) -> String {
    let ms = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"));
    let errors = progress.error_rate.map_or_else(|| "–".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    format!(
        "{:>4}/{} s  {:<8} {:>5.0}/s  p50 {:>8}  p99 {:>9}  errors {:>6}  in flight {}",
        progress.elapsed_s,
        progress.total_s,
        progress.phase.name(),
        progress.ended_per_s,
        ms(progress.p50_ms),
        ms(progress.p99_ms),
        errors,
        progress.in_flight
    )
}

/// Each line in one row of the terminal: who draws it anew goes up by as many rows as there are lines.
fn block(progress: &Progress, width: usize) -> String {
    // What fills the last cell may begin the next row.
    let cells = width.saturating_sub(1);
    let phase = format!("  {} {} s", progress.phase.name(), progress.left_s);
    let length = BAR.min(cells.saturating_sub(2 + phase.chars().count()));
    let done =
        (progress.elapsed_s as usize * length).checked_div(progress.total_s as usize).unwrap_or(length);
    let bar: String = (0..length).map(|at| if at < done { '━' } else { '─' }).collect();
    let fitted = |line: String| cut(&line, cells);
    let mut block = fitted(format!("  {bar}{phase}")) + "\n";
    block.push_str(&(fitted(format!("  {}", line(progress))) + "\n"));
    for broken in &progress.broken {
        let told = fitted(format!("  out of SLO: {broken}"));
        block.push_str(&format!("{}\n", told.red()));
    }
    block
}

/// The beginning of a line, as many cells as there are. What is shown has one cell a character, but for
/// names of endpoints from elsewhere, which are counted as two.
fn cut(line: &str, cells: usize) -> String {
    let mut left = cells;
    let fits = |c: &char| {
        let wide = if c.is_ascii() || matches!(c, '━' | '─' | '–') { 1 } else { 2 };
        let fits = left >= wide;
        left = left.saturating_sub(wide);
        fits
    };
    line.chars().take_while(fits).collect()
}

/// A line that belongs to no run.
pub(super) fn note(line: &str) {
    write(&format!("{line}\n"));
}

/// Colours are left out where nobody would see them.
pub(super) fn write(text: &str) {
    let mut out = anstream::stderr().lock();
    // Nothing is left to do should stderr be gone.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_requests_met_is_told() {
        let part = |error_rate: f64, fates: serde_json::Value| {
            serde_json::json!({"offered": 10, "offered_per_s": 1.0, "effective_per_s": 1.0, "error_rate": error_rate,
                "fates": fates, "latency_ms": null, "latency_all_ms": null})
        };
        let load = |total: serde_json::Value| -> Summary {
            let load = serde_json::json!({"seed": 1, "duration_s": 1.0, "stopped": false, "workers": 1, "total": total,
                "endpoints": [], "tenants": [], "lateness": null, "codes": {"200": 7, "404": 2},
                "causes": {"connection refused": 1}, "connections_opened": 1, "resent": 0, "in_flight_max": 1});
            serde_json::from_value(load).unwrap()
        };
        let failed = load(part(0.3, serde_json::json!({"ok": 7, "status": 2, "connect": 1})));
        let told = why_not(&failed).unwrap();
        assert_eq!(
            told,
            "ended as connect 1, ok 7, status 2; by code 200 7, 404 2; because 1 × connection refused"
        );
        assert_eq!(why_not(&load(part(0.0, serde_json::json!({"ok": 10})))), None);
    }

    #[test]
    fn each_line_is_one_row_at_every_width() {
        let progress = Progress {
            phase: Phase::Recovery,
            elapsed_s: 17_000,
            left_s: 120,
            total_s: 20_000,
            ended_per_s: 12_345.0,
            error_rate: Some(0.123),
            p50_ms: Some(1_234.5),
            p99_ms: Some(98_765.4),
            in_flight: 10_000,
            broken: vec!["GET /orders/{id} p99 < 250ms over 5s for 10s".into(), "GET /商品 p99 < 1s".into()],
        };
        for width in [1, 10, 50, 80, 120] {
            let block = anstream::adapter::strip_str(&block(&progress, width)).to_string();
            assert_eq!(block.lines().count(), 4, "{block}");
            let cells = |line: &str| line.chars().map(|c| if c > '\u{2fff}' { 2 } else { 1 }).sum::<usize>();
            assert!(block.lines().all(|line| cells(line) < width), "{width}:\n{block}");
        }
        let whole = anstream::adapter::strip_str(&block(&progress, 120)).to_string();
        assert!(whole.contains("in flight 10000") && whole.contains(&"━".repeat(34)), "{whole}");
    }
}
