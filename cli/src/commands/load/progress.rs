//! What a running load shows each second: one line, which on a terminal takes the place of the last.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use sabot_runner::load::{Batch, Sink};
use sabot_runner::series::Tally;

/// Goes to stderr, so that stdout holds the result alone.
pub(super) struct Progress {
    silent: bool,
    terminal: bool,
    duration: Duration,
    lately: Tally,
}

impl Progress {
    pub(super) fn new(silent: bool, duration: Duration) -> Self {
        Self { silent, terminal: std::io::stderr().is_terminal(), duration, lately: Tally::default() }
    }

    pub(super) fn show(&mut self, elapsed: Duration, in_flight: u32) {
        let lately = std::mem::take(&mut self.lately);
        if self.silent {
            return;
        }
        let ms = |q: f64| {
            lately
                .ok
                .quantile(q)
                .map_or_else(|| "–".to_owned(), |time| format!("{:.1}", time.as_secs_f64() * 1e3))
        };
        let line = format!(
            "{:>3}/{} s  {:>6}/s  p50 {} ms  p99 {} ms  errors {}  in flight {in_flight}",
            elapsed.as_secs().min(self.duration.as_secs()),
            self.duration.as_secs_f64().ceil(),
            lately.offered(),
            ms(0.5),
            ms(0.99),
            lately.errors(),
        );
        let (before, after) = if self.terminal { ("\r\x1b[2K", "") } else { ("", "\n") };
        self.write(&format!("{before}{line}{after}"));
    }

    pub(super) fn end(&self) {
        if self.terminal && !self.silent {
            self.write("\r\x1b[2K");
        }
    }

    fn write(&self, text: &str) {
        let mut out = std::io::stderr().lock();
        // Nothing is left to do should stderr be gone.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Sink for Progress {
    fn take(&mut self, batch: &Batch) {
        batch.outcomes.iter().for_each(|outcome| self.lately.record(outcome));
    }
}
