//! What a run shows while it lasts: on a terminal a block that is drawn anew each second, elsewhere a
//! line for each phase and every ten seconds.

use std::io::{IsTerminal, Write};

use owo_colors::OwoColorize;
use sabot_runner::judge::Phase;
use sabot_runner::record::Record;
use sabot_runner::report;
use sabot_runner::run::{Observer, Progress};

use super::files::OneRun;
use crate::output::Output;

const BAR: usize = 40;

/// Goes to stderr, so that stdout holds records alone.
pub(super) struct View {
    terminal: bool,
    /// Lines of the block that is on the screen.
    drawn: usize,
    phase: Option<Phase>,
}

impl View {
    pub(super) fn new(json: bool, (at, count): (usize, usize), run: &OneRun) -> Self {
        let view = Self { terminal: std::io::stderr().is_terminal(), drawn: 0, phase: None };
        if !json {
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
            let block = block(progress);
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

fn block(progress: &Progress) -> String {
    let done = (progress.elapsed_s as usize * BAR).checked_div(progress.total_s as usize).unwrap_or(BAR);
    let bar: String = (0..BAR).map(|at| if at < done { '━' } else { '─' }).collect();
    let mut block =
        format!("  {bar}  {} {} s\n  {}\n", progress.phase.name(), progress.left_s, line(progress));
    for broken in &progress.broken {
        let told = format!("out of SLO: {broken}");
        block.push_str(&format!("  {}\n", told.red()));
    }
    block
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
