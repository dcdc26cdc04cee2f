//! Places for connections: a bounded number, which those that ask for nothing give up to those that come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// So many connections may be open at once.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    idle: Mutex<Idle>,
    /// A connection became idle.
    more: Notify,
}

/// Connections on which no request is under way, the one for which that has been so for longest first.
#[derive(Default)]
struct Idle {
    next: u64,
    asked: BTreeMap<u64, Arc<Notify>>,
}

/// The place of one connection; free again once dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    asked: Arc<Notify>,
    /// A request has come on it.
    used: AtomicBool,
    /// Its key among the idle.
    turn: Mutex<Option<u64>>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A request is under way on a connection, until this is dropped.
pub(crate) struct Busy(Arc<Place>);

impl Places {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(count));
        Arc::new(Self { free, idle: Mutex::default(), more: Notify::new() })
    }

    /// A place for one more connection. Where there is none, the connection that has been idle for
    /// longest is asked to leave; while none is idle, this waits.
    pub(crate) async fn next(self: &Arc<Self>) -> Arc<Place> {
        let permit = loop {
            let free = Arc::clone(&self.free);
            if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
                break Some(permit);
            }
            let longest = self.idle().asked.pop_first();
            if let Some((_, asked)) = &longest {
                tracing::debug!("the API has no place for another connection: the longest idle is closed");
                asked.notify_one();
            }
            tokio::select! {
                // It is never closed.
                permit = free.acquire_owned() => break permit.ok(),
                () = self.more.notified(), if longest.is_none() => {}
            }
        };
        let places = Arc::clone(self);
        let (asked, used) = <(Arc<Notify>, AtomicBool)>::default();
        let place = Place { places, asked, used, turn: Mutex::default(), _permit: permit };
        place.wait();
        Arc::new(place)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A request has come.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.used.store(true, Ordering::Relaxed);
        self.leave_turn();
        Busy(Arc::clone(self))
    }

    /// Whether no request is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.turn().is_some()
    }

    /// Whether a request has ever come.
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Ready once the place is needed for another connection.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    fn wait(&self) {
        let mut idle = self.places.idle();
        let turn = idle.next;
        idle.next += 1;
        idle.asked.insert(turn, Arc::clone(&self.asked));
        *self.turn() = Some(turn);
        drop(idle);
        self.places.more.notify_one();
    }

    fn leave_turn(&self) {
        let turn = self.turn().take();
        if let Some(turn) = turn {
            self.places.idle().asked.remove(&turn);
        }
    }

    fn turn(&self) -> MutexGuard<'_, Option<u64>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave_turn();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Ready after all that can go on has: time is paused.
    async fn pending(future: impl Future) -> bool {
        timeout(Duration::from_secs(1), future).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_makes_room() {
        let places = Places::new(2);
        let (first, second) = (places.next().await, places.next().await);
        // It has asked for something since.
        drop(first.busy());
        assert!(pending(places.next()).await, "it has not left yet");
        second.asked().await;
        assert!(pending(first.asked()).await, "one is enough");
        drop(second);
        places.next().await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_busy_is_let_be_until_it_is_not() {
        let places = Places::new(1);
        let place = places.next().await;
        let busy = place.busy();
        let next = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.next().await }
        });
        assert!(pending(place.asked()).await && !place.is_idle());
        drop(busy);
        place.asked().await;
        drop(place);
        next.await.unwrap();
        assert!(places.idle().asked.is_empty(), "nothing is left of either");
    }
}
