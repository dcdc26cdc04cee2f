//! The live connections of a proxy, and what those that ended left behind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sabot_toxics::Direction;
use tokio::sync::Notify;

use crate::relay::ConnShared;

/// Bytes of a proxy, per direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    /// Read from the sources.
    pub(crate) received: [u64; 2],
    /// Written to the sinks.
    pub(crate) sent: [u64; 2],
}

impl Bytes {
    fn add(&mut self, connection: &ConnShared) {
        for direction in Direction::BOTH {
            self.received[direction as usize] += connection.received(direction);
            self.sent[direction as usize] += connection.sent(direction);
        }
    }
}

/// The connections of a proxy.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    /// Connections accepted so far; the last one's number.
    accepted: AtomicU64,
    /// Told when the last connection has gone.
    empty: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    live: BTreeMap<u64, Arc<ConnShared>>,
    ended: Bytes,
}

impl Registry {
    /// The number of the connection just accepted, from 1.
    pub(crate) fn next_number(&self) -> u64 {
        self.accepted.fetch_add(1, Relaxed) + 1
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Enters a connection; it stays until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>, connection: Arc<ConnShared>) -> Entered {
        self.lock().live.insert(connection.id, Arc::clone(&connection));
        Entered { registry: Arc::clone(self), connection }
    }

    /// Connections alive.
    pub(crate) fn len(&self) -> usize {
        self.lock().live.len()
    }

    /// The live connections, in the order in which they were accepted.
    pub(crate) fn live(&self) -> Vec<Arc<ConnShared>> {
        self.lock().live.values().cloned().collect()
    }

    /// The live connection of that id.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<ConnShared>> {
        self.lock().live.get(&id).cloned()
    }

    /// All bytes so far. One lock covers what lives and what ended, so no
    /// connection is counted twice or not at all.
    pub(crate) fn bytes(&self) -> Bytes {
        let inner = self.lock();
        let mut bytes = inner.ended;
        inner.live.values().for_each(|connection| bytes.add(connection));
        bytes
    }

    /// Waits until no connection is alive; false if some are after `limit`.
    pub(crate) async fn wait_empty(&self, limit: Duration) -> bool {
        let empty = async {
            loop {
                let told = self.empty.notified();
                if self.len() == 0 {
                    return;
                }
                told.await;
            }
        };
        tokio::time::timeout(limit, empty).await.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the registry: dropped, also with a cancelled task, the
/// connection is gone and its bytes stay counted.
#[derive(Debug)]
pub(crate) struct Entered {
    registry: Arc<Registry>,
    pub(crate) connection: Arc<ConnShared>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut inner = self.registry.lock();
        inner.ended.add(&self.connection);
        inner.live.remove(&self.connection.id);
        if inner.live.is_empty() {
            self.registry.empty.notify_waiters();
        }
    }
}
