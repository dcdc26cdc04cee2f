//! What all proxies of a controller share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sabot_toxics::Seed;

use crate::net::Workers;
use crate::relay::budget::Budget;
use crate::tls::Store;

/// The workers, the seed, the budgets and the numbers that must be unique.
pub(crate) struct Shell {
    pub(crate) workers: Workers,
    pub(crate) seed: Seed,
    pub(crate) budget: Arc<Budget>,
    pub(crate) direction_budget: usize,
    pub(crate) dial_timeout: Duration,
    pub(crate) head_timeout: Duration,
    /// Sabot's own CA.
    pub(crate) ca: Arc<Store>,
    ids: AtomicU64,
}

impl Shell {
    pub(crate) fn new(workers: Workers, options: &crate::Options) -> Self {
        Self {
            workers,
            seed: Seed::new(options.seed),
            budget: Arc::new(Budget::new(options.process_budget())),
            direction_budget: options.direction_budget,
            dial_timeout: options.dial_timeout,
            head_timeout: options.head_timeout,
            ca: Arc::new(Store::new(options.ca_dir.clone(), options.api_url.as_deref())),
            ids: AtomicU64::new(0),
        }
    }

    /// A number that nothing else in this process has: of a connection or a toxic.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Relaxed) + 1
    }
}
