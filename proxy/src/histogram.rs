//! Counts by duration, that one thread writes and a metric reads.
//!
//! Without a lock or a queue, unlike those of the metrics facade: timers and requests
//! are counted on the data path.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Durations by size. [`Self::record`] is for one thread.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds_us: &'static [u64],
    buckets: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

/// What histograms counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// Upper bounds in seconds, the last one infinite, and how many were no longer.
    pub buckets: Vec<(f64, u64)>,
    /// All together, in seconds.
    pub sum_s: f64,
}

impl Histogram {
    /// One with these upper bounds of all buckets but the last, in microseconds.
    pub(crate) fn new(bounds_us: &'static [u64]) -> Self {
        let buckets = (0..=bounds_us.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds_us, buckets, sum_ns: AtomicU64::new(0) }
    }

    pub(crate) fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.bounds_us.partition_point(|bound| bound.saturating_mul(1000) < nanos);
        add(&self.buckets[bucket], 1);
        add(&self.sum_ns, nanos);
    }

    /// What several of the same bounds counted, together.
    pub(crate) fn together<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Distribution {
        let bounds = all.clone().next().map(|first| first.bounds_us).unwrap_or_default();
        let bounds = bounds.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let mut below = 0;
        let cumulated = bounds.enumerate().map(|(index, bound)| {
            let here = all.clone().filter_map(|one| one.buckets.get(index));
            below += here.map(|bucket| bucket.load(Relaxed)).sum::<u64>();
            (bound, below)
        });
        let buckets = cumulated.collect();
        let sum_ns: u64 = all.map(|one| one.sum_ns.load(Relaxed)).sum();
        Distribution { buckets, sum_s: Duration::from_nanos(sum_ns).as_secs_f64() }
    }
}

impl Distribution {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |(_, count)| *count)
    }
}

/// One thread writes, so no locked instruction is needed.
pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_falls_into_the_bucket_that_bounds_it() {
        let both = [Histogram::new(&[4, 8, 256]), Histogram::new(&[4, 8, 256])];
        for (index, nanos) in [0, 4000, 4001, 200_000, 10_000_000_000].into_iter().enumerate() {
            both[index % 2].record(Duration::from_nanos(nanos));
        }
        let all = Histogram::together(both.iter());
        assert_eq!(all.buckets, [(0.000_004, 2), (0.000_008, 3), (0.000_256, 4), (f64::INFINITY, 5)]);
        assert_eq!((all.count(), all.sum_s), (5, 10.000_208_001));
    }
}
