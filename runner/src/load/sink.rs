//! Where outcomes go while the load runs.

use std::collections::BTreeMap;

use super::code::Code;
use crate::outcome::Outcome;
use crate::series::Series;

/// What became of requests lately: handed over by each worker about every 50 ms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order in which they ended.
    pub outcomes: Vec<Outcome>,
    /// How often which endpoint answered with which code, of these outcomes.
    pub codes: BTreeMap<(u16, Code), u64>,
    /// How often which reason was given for a request that failed, of these outcomes; of a few reasons.
    pub causes: BTreeMap<String, u64>,
    /// Connections opened since the last batch.
    pub connections_opened: u64,
    /// Requests sent a second time since the last batch, because the pooled connection that they
    /// were sent on turned out to be closed.
    pub resent: u64,
    /// Requests under way at this worker, now.
    pub in_flight: u32,
    /// Which worker: an index below the load's number of workers.
    pub worker: u16,
}

/// Who wants to know what became of each request: verdicts, live views, records.
///
/// Batches come from several workers, so their outcomes are in no common order. A sink that takes
/// long holds up the load once the bounded queue before it is full; that shows as lateness.
pub trait Sink {
    /// Takes a batch in.
    fn take(&mut self, batch: &Batch);
}

impl Sink for Series {
    fn take(&mut self, batch: &Batch) {
        batch.outcomes.iter().for_each(|outcome| self.record(outcome));
    }
}

/// Nobody.
impl Sink for () {
    fn take(&mut self, _: &Batch) {}
}

impl<A: Sink, B: Sink> Sink for (&mut A, &mut B) {
    fn take(&mut self, batch: &Batch) {
        self.0.take(batch);
        self.1.take(batch);
    }
}
