//! A sparse histogram of latencies: exact to 0.8 %, a few bytes for each latency at most.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Buckets an octave: a bucket is at most 1/128 of its value wide.
const PER_OCTAVE: u64 = 128;
const BITS: u32 = PER_OCTAVE.trailing_zeros();

/// How many latencies fell into which bucket.
///
/// Only buckets that hold something are kept, so that a cell of one second, one endpoint and one
/// tenant costs 8 bytes for each different latency in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latencies {
    /// Sorted by bucket.
    buckets: Vec<(u16, u32)>,
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        self.add(bucket(nanos(latency)), 1);
    }

    /// Counts all of `other`'s too.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        for (bucket, count) in &other.buckets {
            self.add(*bucket, *count);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// The latency that the share `q` (0 to 1) of all do not exceed: the nearest rank, to within
    /// 0.8 %. None if there are none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        self.buckets.iter().find_map(|(bucket, count)| {
            seen += u64::from(*count);
            (seen >= rank).then(|| Duration::from_nanos(middle(*bucket)))
        })
    }

    /// The mean, to within 0.8 %. None if there are none.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let count = self.count();
        let sum: f64 = self.buckets.iter().map(|(bucket, n)| middle(*bucket) as f64 * f64::from(*n)).sum();
        (count > 0).then(|| Duration::from_nanos((sum / count as f64) as u64))
    }

    /// How many lie above `limit`, counted by bucket: one within 0.8 % of the limit may be counted
    /// on either side.
    #[must_use]
    pub fn above(&self, limit: Duration) -> u64 {
        let limit = nanos(limit);
        let above = self.buckets.iter().filter(|(bucket, _)| middle(*bucket) > limit);
        above.map(|(_, count)| u64::from(*count)).sum()
    }

    /// Each latency (the middle of its bucket) and how often it was met, from the shortest on.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, u32)> + '_ {
        self.buckets.iter().map(|(bucket, count)| (Duration::from_nanos(middle(*bucket)), *count))
    }

    fn add(&mut self, bucket: u16, more: u32) {
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(more),
            Err(at) => self.buckets.insert(at, (bucket, more)),
        }
    }
}

fn nanos(latency: Duration) -> u64 {
    u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX)
}

/// Below 128 ns a bucket for each nanosecond, above it 128 buckets for each doubling: with 64 bits
/// that is 7,424 buckets.
fn bucket(nanos: u64) -> u16 {
    if nanos < PER_OCTAVE {
        return nanos as u16;
    }
    let octave = nanos.ilog2() - BITS;
    // The leading bit stands for itself, the next seven say which of the 128.
    ((u64::from(octave) << BITS) + (nanos >> octave)) as u16
}

fn middle(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < 2 * PER_OCTAVE {
        return bucket;
    }
    let octave = (bucket >> BITS) - 1;
    let lowest = (bucket - (octave << BITS)) << octave;
    lowest + (1 << (octave - 1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Latencies, bucket, middle};

    proptest! {
        #[test]
        fn a_bucket_is_exact_to_less_than_one_percent(nanos in 1u64..) {
            let error = (middle(bucket(nanos)) as f64 - nanos as f64).abs() / nanos as f64;
            prop_assert!(error <= 1.0 / 128.0, "{nanos} became {}", middle(bucket(nanos)));
        }

        #[test]
        fn buckets_keep_the_order(a: u64, b: u64) {
            prop_assert_eq!(bucket(a).cmp(&bucket(b)).then(a.cmp(&b)), a.cmp(&b));
        }

        #[test]
        fn quantiles_are_those_of_the_sorted_list(mut list in prop::collection::vec(1u64..10_000_000_000, 1..300), q in 0.0f64..=1.0) {
            let mut latencies = Latencies::default();
            for nanos in &list {
                latencies.record(Duration::from_nanos(*nanos));
            }
            list.sort_unstable();
            let rank = ((q * list.len() as f64).ceil() as usize).clamp(1, list.len());
            let exact = list[rank - 1] as f64;
            let told = latencies.quantile(q).unwrap().as_nanos() as f64;
            prop_assert!((told - exact).abs() <= exact / 100.0, "{told} for {exact}");
        }

        #[test]
        fn merging_is_recording_both(a in prop::collection::vec(any::<u32>(), 0..50), b in prop::collection::vec(any::<u32>(), 0..50)) {
            let of = |list: &[u32]| {
                let mut latencies = Latencies::default();
                list.iter().for_each(|nanos| latencies.record(Duration::from_nanos(u64::from(*nanos))));
                latencies
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Latencies::default().quantile(0.5), None);
        assert_eq!(Latencies::default().mean(), None);
    }

    #[test]
    fn above_counts_what_is_longer() {
        let mut latencies = Latencies::default();
        for ms in [1, 5, 200, 300] {
            latencies.record(Duration::from_millis(ms));
        }
        assert_eq!(latencies.above(Duration::from_millis(50)), 2);
    }
}
