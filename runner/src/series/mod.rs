//! What became of a load, second by second: what SLIs, verdicts and plots are computed from.
//!
//! - [`Series`]: seconds by the *intended* start of their requests; each a list of [`Cell`]s, one
//!   for each endpoint and tenant that had a request in it;
//! - [`Tally`]: cells added up over any window and any choice of endpoints and tenants;
//! - [`Latencies`]: a sparse histogram, exact to 0.8 %.
//!
//! Memory is bounded by the number of requests: a request adds one entry of 8 bytes at most, and
//! one cell at most. Nothing here reads a clock.

mod latencies;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::outcome::{Fate, Outcome};

pub use latencies::Latencies;

/// A longer load than this is refused by its plan: seconds are kept in a list.
pub const LONGEST_S: u64 = 7 * 86_400;

/// The seconds of a load, from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Series {
    seconds: Vec<Second>,
}

/// All requests that were meant to start in one second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Second {
    /// Sorted by endpoint, then tenant.
    cells: Vec<Cell>,
}

/// The requests of one endpoint and one tenant in one second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// An index into the load's endpoints.
    pub endpoint: u16,
    /// An index into the load's tenants.
    pub tenant: u16,
    /// What became of them.
    #[serde(flatten)]
    pub tally: Tally,
}

/// What became of some requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many ended in each fate, in the order of [`Fate::ALL`].
    pub fates: [u32; Fate::ALL.len()],
    /// From the intended start to the end, of those that were [`Fate::Ok`].
    pub ok: Latencies,
    /// The same of all others that ended: for a request that timed out, when it was given up.
    pub failed: Latencies,
}

impl Tally {
    /// How many requests the schedule called for.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.fates.iter().map(|count| u64::from(*count)).sum()
    }

    /// How many ended so.
    #[must_use]
    pub fn count(&self, fate: Fate) -> u64 {
        u64::from(self.fates[fate as usize])
    }

    /// How many came to an end of their own: all but those that the end of the load cut off.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.offered() - self.count(Fate::Cut)
    }

    /// How many of those did not end as [`Fate::Ok`], those that were never sent included.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.ended() - self.count(Fate::Ok)
    }

    /// Their share of those that ended; none if none did.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        (self.ended() > 0).then(|| self.errors() as f64 / self.ended() as f64)
    }

    /// The latencies of all, however they ended.
    #[must_use]
    pub fn all(&self) -> Latencies {
        let mut all = self.ok.clone();
        all.merge(&self.failed);
        all
    }

    /// Counts one.
    pub fn record(&mut self, outcome: &Outcome) {
        let count = &mut self.fates[outcome.fate as usize];
        *count = count.saturating_add(1);
        match outcome.fate {
            Fate::Ok => self.ok.record(outcome.latency()),
            // How long it would have taken nobody knows.
            Fate::Cut => {}
            _ => self.failed.record(outcome.latency()),
        }
    }

    /// Adds another's counts and latencies.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.fates.iter_mut().zip(other.fates) {
            *mine = mine.saturating_add(theirs);
        }
        self.ok.merge(&other.ok);
        self.failed.merge(&other.failed);
    }
}

impl Second {
    /// Its cells, sorted by endpoint, then tenant.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    fn cell(&mut self, endpoint: u16, tenant: u16) -> &mut Cell {
        let at = self.cells.binary_search_by_key(&(endpoint, tenant), |cell| (cell.endpoint, cell.tenant));
        let at = at.unwrap_or_else(|at| {
            self.cells.insert(at, Cell { endpoint, tenant, tally: Tally::default() });
            at
        });
        &mut self.cells[at]
    }
}

impl Series {
    /// Counts an outcome in the second in which it was meant to start.
    pub fn record(&mut self, outcome: &Outcome) {
        self.record_in(outcome.intended.as_secs(), outcome);
    }

    /// Counts an outcome in that second: for who wants them by when they ended, say.
    pub fn record_in(&mut self, second: u64, outcome: &Outcome) {
        let second = second.min(LONGEST_S) as usize;
        if second >= self.seconds.len() {
            self.seconds.resize_with(second + 1, Second::default);
        }
        self.seconds[second].cell(outcome.endpoint, outcome.tenant).tally.record(outcome);
    }

    /// Adds another series of the same load, second by second.
    pub fn merge(&mut self, other: &Self) {
        if other.seconds.len() > self.seconds.len() {
            self.seconds.resize_with(other.seconds.len(), Second::default);
        }
        for (mine, theirs) in self.seconds.iter_mut().zip(&other.seconds) {
            for cell in &theirs.cells {
                mine.cell(cell.endpoint, cell.tenant).tally.merge(&cell.tally);
            }
        }
    }

    /// The seconds, from the start of the load; a second without requests is empty.
    #[must_use]
    pub fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    /// What became of the requests of the seconds `window` whose endpoint and tenant `chosen` takes.
    /// Seconds past the end count as empty.
    #[must_use]
    pub fn tally(&self, window: Range<u64>, mut chosen: impl FnMut(u16, u16) -> bool) -> Tally {
        let length = self.seconds.len();
        let end = usize::try_from(window.end).unwrap_or(length).min(length);
        let start = usize::try_from(window.start).unwrap_or(end).min(end);
        let mut tally = Tally::default();
        for cell in self.seconds[start..end].iter().flat_map(|second| &second.cells) {
            if chosen(cell.endpoint, cell.tenant) {
                tally.merge(&cell.tally);
            }
        }
        tally
    }

    /// What became of all of them.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.tally(0..u64::MAX, |_, _| true)
    }
}

#[cfg(test)]
mod tests;
