//! The live connections of a proxy, and what those that ended left behind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sabot_toxics::Direction;
use tokio::sync::Notify;

use crate::relay::ConnShared;

/// Bytes of a proxy, per direction, and what there is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    /// Connections alive.
    pub(crate) connections: usize,
    /// Held by toxics.
    pub(crate) held: usize,
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
    /// Told when a connection has gone.
    gone: Notify,
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
        let mut bytes = Bytes { connections: inner.live.len(), ..inner.ended };
        for connection in inner.live.values() {
            bytes.add(connection);
            bytes.held += connection.held();
        }
        bytes
    }

    /// Waits until no connection is alive; false if some are after `limit`.
    pub(crate) async fn wait_empty(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.wait_until(BTreeMap::is_empty)).await.is_ok()
    }

    /// Waits until none of `ending` is alive, whoever came since; false if some are
    /// after `limit`.
    pub(crate) async fn wait_for(&self, ending: &[Arc<ConnShared>], limit: Duration) -> bool {
        let mut rest = ending;
        let all = self.wait_until(|live| {
            while let Some((first, others)) = rest.split_first()
                && !live.contains_key(&first.id)
            {
                rest = others;
            }
            rest.is_empty()
        });
        tokio::time::timeout(limit, all).await.is_ok()
    }

    async fn wait_until(&self, mut done: impl FnMut(&BTreeMap<u64, Arc<ConnShared>>) -> bool) {
        loop {
            // Made before the look: what goes in between is told to it.
            let told = self.gone.notified();
            if done(&self.lock().live) {
                return;
            }
            told.await;
        }
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
        drop(inner);
        self.registry.gone.notify_waiters();
    }
}
