//! Who wants to see a run happen.

use crate::judge::Phase;

/// Sees a run happen.
pub trait Observer {
    /// A second has passed.
    fn second(&mut self, progress: &Progress);

    /// Something happened that is worth a line.
    fn said(&mut self, line: &str);
}

/// Nobody.
impl Observer for () {
    fn second(&mut self, _: &Progress) {}

    fn said(&mut self, _: &str) {}
}

/// A run as it stands. Rates and latencies are those of requests that ended in the last second.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The phase that the second belonged to.
    pub phase: Phase,
    /// Seconds since the start of the load.
    pub elapsed_s: u64,
    /// Seconds that this phase has left.
    pub left_s: u64,
    /// Seconds that the whole run takes.
    pub total_s: u64,
    /// Requests that ended, a second.
    pub ended_per_s: f64,
    /// The share of them that was not answered as expected, if any ended.
    pub error_rate: Option<f64>,
    /// The median latency of those that were, in milliseconds.
    pub p50_ms: Option<f64>,
    /// What 99 % of them did not exceed.
    pub p99_ms: Option<f64>,
    /// Requests under way.
    pub in_flight: u32,
    /// Objectives of this phase that are not met now.
    pub broken: Vec<String>,
}
