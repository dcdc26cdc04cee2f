//! A line now and then, for commands that measure for a while.

use std::io::Write;

use sabot_runner::run::{Observer, Progress};

/// Goes to stderr, so that stdout holds the answer alone.
pub(crate) struct Lines {
    /// Nothing is said: a program reads the answer.
    pub(crate) silent: bool,
}

impl Observer for Lines {
    fn second(&mut self, _: &Progress) {}

    fn said(&mut self, line: &str) {
        if !self.silent {
            // Nothing is left to do should stderr be gone.
            let _ = writeln!(anstream::stderr().lock(), "{line}");
        }
    }
}
