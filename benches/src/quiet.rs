//! A machine is rarely ours alone: measurements wait for a quiet moment, and
//! those that others disturbed are made again, for as long as patience lasts.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process;

/// Others may use this share of the machine.
const BEARABLE: f64 = 0.05;
/// How long the machine is watched before a measurement.
const WATCH: Duration = Duration::from_millis(200);

/// How much of a run may be spent on waiting and repeating, and how quiet it was.
pub struct Quiet {
    cores: usize,
    patience: Cell<Duration>,
    measured: Cell<u32>,
    disturbed: Cell<u32>,
    worst: Cell<f64>,
}

impl Quiet {
    /// Patience for a whole run.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (patience, worst) = (Cell::new(patience), Cell::new(0.0));
        Self { cores, patience, measured: Cell::new(0), disturbed: Cell::new(0), worst }
    }

    /// The result of the least disturbed of some attempts.
    ///
    /// # Errors
    /// The first attempt that fails.
    pub fn measure<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        self.wait()?;
        let (mut best, mut share) = self.watch(&mut attempt)?;
        while share > BEARABLE && !self.patience.get().is_zero() {
            let start = Instant::now();
            self.wait()?;
            let (next, its_share) = self.watch(&mut attempt)?;
            if its_share < share {
                (best, share) = (next, its_share);
            }
            self.spend(start.elapsed());
        }
        self.measured.set(self.measured.get() + 1);
        self.disturbed.set(self.disturbed.get() + u32::from(share > BEARABLE));
        self.worst.set(self.worst.get().max(share));
        Ok(best)
    }

    /// How quiet it was, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (measured, disturbed, worst) =
            (self.measured.get(), self.disturbed.get(), self.worst.get() * 100.0);
        format!(
            "Of {measured} measurements {disturbed} were disturbed: other programs used more than 5 % of the machine \
             meanwhile, {worst:.0} % at worst."
        )
    }

    fn wait(&self) -> Result<()> {
        let mut last = 0.0;
        while !self.patience.get().is_zero() {
            let ((), share) = self.watch(|| {
                thread::sleep(WATCH);
                Ok(())
            })?;
            // After a disturbance it has to be quiet twice: a compiler pauses between two crates.
            if share.max(last) <= BEARABLE {
                break;
            }
            self.spend(WATCH);
            last = share;
        }
        Ok(())
    }

    /// What share of the machine others used while `run` ran.
    fn watch<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
        let (start, before) = (Instant::now(), process::others_cpu_seconds());
        let done = run()?;
        let used = process::others_cpu_seconds() - before;
        Ok((done, used / (start.elapsed().as_secs_f64() * self.cores as f64)))
    }

    fn spend(&self, time: Duration) {
        self.patience.set(self.patience.get().saturating_sub(time));
    }
}
