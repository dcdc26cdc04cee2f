//! How many bytes all connections of the process may hold together.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// A connection that holds less than this may read whatever the others hold:
/// one stalled connection must not stop every other.
pub(super) const ALLOWANCE: usize = 16 * 1024;

/// How often a connection looks again whether others have let go of something.
pub(super) const RETRY: Duration = Duration::from_millis(5);

/// The process's budget. It may be exceeded by one read per connection.
#[derive(Debug)]
pub(crate) struct Budget {
    held: AtomicUsize,
    limit: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { held: AtomicUsize::new(0), limit }
    }

    /// Bytes held by toxics of all connections.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Bytes that may be held.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How much a direction that wants `appetite` and holds `held` may read now.
    pub(super) fn grant(&self, appetite: usize, held: usize) -> usize {
        if self.held() < self.limit { appetite } else { appetite.min(ALLOWANCE.saturating_sub(held)) }
    }

    /// One connection held `before` and holds `after` now.
    pub(super) fn replace(&self, before: usize, after: usize) {
        if after > before {
            self.held.fetch_add(after - before, Relaxed);
        } else {
            self.held.fetch_sub(before - after, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_it_is_spent_each_still_gets_its_allowance() {
        let budget = Budget::new(1000);
        assert_eq!(budget.grant(5000, 0), 5000);
        budget.replace(0, 1000);
        assert_eq!(budget.grant(50_000, 1000), ALLOWANCE - 1000);
        assert_eq!(budget.grant(50_000, ALLOWANCE), 0);
        budget.replace(1000, 10);
        assert_eq!((budget.held(), budget.grant(7, 100_000)), (10, 7));
    }
}
