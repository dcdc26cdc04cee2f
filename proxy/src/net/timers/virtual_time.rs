//! Virtual time for tests: it stands still until the test moves it.

use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use sabot_toxics::Time;

use super::Clock;

/// A clock that tests move; clones share the time but not the deadline.
#[derive(Debug, Default)]
pub(crate) struct VirtualClock {
    shared: Arc<Mutex<Shared>>,
    key: Option<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    now: Time,
    next_key: u64,
    waiting: Vec<(u64, Time, Waker)>,
}

impl Clone for VirtualClock {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), key: None }
    }
}

impl VirtualClock {
    /// Moves time forward and wakes whom it concerns.
    pub(crate) fn advance(&self, span: Duration) {
        let mut shared = self.shared.lock().unwrap();
        shared.now = shared.now + span;
        let now = shared.now;
        shared.waiting.retain(|(_, due, waker)| {
            if *due <= now {
                waker.wake_by_ref();
            }
            *due > now
        });
    }

    /// The first deadline that somebody waits for.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.shared.lock().unwrap().waiting.iter().map(|(_, due, _)| *due).min()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        self.shared.lock().unwrap().now
    }

    fn wake_at(&mut self, cx: &Context<'_>, _now: Time, deadline: Option<Time>) {
        let mut shared = self.shared.lock().unwrap();
        let key = *self.key.get_or_insert(shared.next_key);
        shared.next_key = shared.next_key.max(key + 1);
        shared.waiting.retain(|(other, ..)| *other != key);
        match deadline {
            Some(due) if due <= shared.now => cx.waker().wake_by_ref(),
            Some(due) => shared.waiting.push((key, due, cx.waker().clone())),
            None => {}
        }
    }
}
