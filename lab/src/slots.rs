//! A bounded number of something: workers, connections.
//!
//! Not a mitigation but how every server is: what it has is limited, and who finds
//! nothing free waits.

use std::sync::Arc;

use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::{Counted, Meter, POOL_IN_USE, POOL_SIZE, POOL_WAITING};

/// A pool of `size` slots, shown under a name.
#[derive(Clone)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    in_use: Gauge,
    waiting: Gauge,
}

/// A slot, until it is dropped.
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

/// The pool is closed; it is when the service stops.
#[derive(Debug, thiserror::Error)]
#[error("the pool is closed")]
pub(crate) struct Closed;

impl Slots {
    pub(crate) fn new(meter: &Meter, pool: &str, size: usize) -> Self {
        let labels = [("pool", pool)];
        meter.gauge(POOL_SIZE, &labels).set(size as f64);
        Self {
            free: Arc::new(Semaphore::new(size)),
            in_use: meter.gauge(POOL_IN_USE, &labels),
            waiting: meter.gauge(POOL_WAITING, &labels),
        }
    }

    /// Waits for a slot, first come first served. Cancel safe.
    pub(crate) async fn take(&self) -> Result<Slot, Closed> {
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Counted::new(&self.waiting);
                Arc::clone(&self.free).acquire_owned().await.map_err(|_| Closed)?
            }
        };
        Ok(Slot { _permit: permit, _counted: Counted::new(&self.in_use) })
    }
}
