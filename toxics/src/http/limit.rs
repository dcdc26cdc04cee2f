//! A rate for each of many keys, by governor, in time that is told.

use std::collections::BTreeMap;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::Time;

/// A key is kept as its hash: however long it is, it takes as much memory.
pub(crate) type Hash = [u8; 32];

/// Buckets of one quota. One caller at a time: the clock shows the time it was told last.
pub(crate) struct Limit {
    quota: Quota,
    told: Told,
    limiter: RateLimiter<Hash, Buckets, Told, NoOpMiddleware<Moment>>,
}

impl Limit {
    pub(crate) fn new(quota: Quota, now: Time) -> Self {
        let told = Told(Arc::new(AtomicU64::new(now.as_nanos())));
        let limiter = RateLimiter::new(quota, Buckets::default(), told.clone());
        Self { quota, told, limiter }
    }

    pub(crate) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Takes a token of the key's bucket; if there is none, how long until there is.
    pub(crate) fn exceeded(&self, now: Time, key: &Hash) -> Option<Duration> {
        self.told.0.store(now.as_nanos(), Ordering::Relaxed);
        let until = self.limiter.check_key(key).err()?;
        Some(until.wait_time_from(Moment(now.as_nanos())))
    }
}

/// A clock for governor that knows what it is told.
#[derive(Clone)]
struct Told(Arc<AtomicU64>);

impl Clock for Told {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }
}

/// A [`Time`] as governor wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(u64);

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.as_u64()))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, span: Nanos) -> Self {
        Self(self.0.saturating_sub(span.as_u64()))
    }
}

/// Keys that are remembered: some 2 MB, and whoever invents keys cannot take more.
const MOST_KEYS: usize = 10_000;

/// The buckets, and in which order they were used.
#[derive(Default)]
struct Buckets(Mutex<Used>);

#[derive(Default)]
struct Used {
    buckets: BTreeMap<Hash, (u64, Nanos)>,
    order: BTreeMap<u64, Hash>,
    uses: u64,
}

impl StateStore for Buckets {
    type Key = Hash;

    fn measure_and_replace<T, F, E>(&self, key: &Hash, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = used.buckets.get(key).copied();
        let decided = f(before.map(|(_, state)| state));
        let state = decided.as_ref().ok().map(|(_, state)| *state);
        // Whoever is refused has used the key too.
        if let Some(state) = state.or(before.map(|(_, state)| state)) {
            used.remember(*key, state, before.map(|(use_, _)| use_));
        }
        decided.map(|(value, _)| value)
    }
}

impl Used {
    fn remember(&mut self, key: Hash, state: Nanos, last: Option<u64>) {
        if let Some(last) = last {
            self.order.remove(&last);
        } else if self.buckets.len() >= MOST_KEYS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.buckets.remove(&oldest);
        }
        self.uses += 1;
        self.order.insert(self.uses, key);
        self.buckets.insert(key, (self.uses, state));
    }
}
