//! How many requests of a proxy may be under a fault at one time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use sabot_toxics::http::Permit;

/// The room that a proxy has for requests under a fault.
#[derive(Debug, Default)]
pub(crate) struct FaultRoom {
    most: Option<u32>,
    active: AtomicU32,
    passed: AtomicU64,
}

impl FaultRoom {
    pub(crate) fn new(most: Option<u32>) -> Self {
        Self { most, ..Self::default() }
    }

    pub(crate) fn most(&self) -> Option<u32> {
        self.most
    }

    /// Requests that passed without a fault since there was no room.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    pub(super) fn admit(self: &Arc<Self>) -> Option<Permit> {
        let Some(most) = self.most else { return Some(Permit::unlimited()) };
        let more = |active: u32| (active < most).then(|| active + 1);
        if self.active.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            self.passed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Permit::new(Place(Arc::clone(self))))
    }
}

/// The place of one request.
struct Place(Arc<FaultRoom>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}
