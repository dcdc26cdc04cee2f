//! How late timers are: a histogram that one thread writes and a metric reads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of all buckets but the last, in microseconds: powers of two.
pub(crate) const BOUNDS_US: [u64; 16] =
    [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131_072];

/// Counts by lateness. A timer is recorded when the task it woke had its turn.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_ns: AtomicU64,
}

impl Lateness {
    pub(super) fn record(&self, late: Duration) {
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < micros);
        add(&self.buckets[bucket], 1);
        add(&self.sum_ns, u64::try_from(late.as_nanos()).unwrap_or(0));
    }

    /// Adds what was counted so far to `counts` (per bucket, not cumulated) and to the sum.
    pub(crate) fn add_to(&self, counts: &mut [u64; BOUNDS_US.len() + 1], sum: &mut Duration) {
        for (count, bucket) in counts.iter_mut().zip(&self.buckets) {
            *count += bucket.load(Relaxed);
        }
        *sum += Duration::from_nanos(self.sum_ns.load(Relaxed));
    }
}

/// One thread writes, so no locked instruction is needed.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lateness_falls_into_the_bucket_that_bounds_it() {
        let lateness = Lateness::default();
        for micros in [0, 4, 5, 200, 10_000_000] {
            lateness.record(Duration::from_micros(micros));
        }
        let (mut counts, mut sum) = ([0; 17], Duration::ZERO);
        lateness.add_to(&mut counts, &mut sum);
        assert_eq!((counts[0], counts[1], counts[6], counts[16]), (2, 1, 1, 1));
        assert_eq!(sum, Duration::from_micros(10_000_209));
    }
}
