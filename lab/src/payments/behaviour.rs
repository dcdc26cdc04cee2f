//! How payments behaves: settable while it runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

const MAX_DELAY_MS: f64 = 600_000.0;
const MAX_CAPACITY: usize = 10_000;

/// How slow, how faulty and how roomy the payment provider is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Behaviour {
    /// Time of a charge, in ms.
    pub delay_ms: f64,
    /// How much longer or shorter a charge may be, drawn evenly, in ms.
    pub jitter_ms: f64,
    /// Share of charges that fail with a 500 and charge nothing, 0 to 1.
    pub error_share: f64,
    /// Charges at once; the others wait.
    pub capacity: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { delay_ms: 7.0, jitter_ms: 2.0, error_share: 0.0, capacity: 64 }
    }
}

impl Behaviour {
    /// The time of one charge, by its draw in [0, 1).
    pub(super) fn delay(&self, draw: f64) -> Duration {
        let ms = self.delay_ms + self.jitter_ms * (2.0 * draw - 1.0);
        Duration::from_secs_f64(ms.max(0.0) / 1_000.0)
    }
}

/// What is asked to change.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    delay_ms: Option<f64>,
    jitter_ms: Option<f64>,
    error_share: Option<f64>,
    capacity: Option<usize>,
}

/// A value out of range.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfRange {
    pub field: &'static str,
    pub reason: &'static str,
}

/// The behaviour as it is now.
pub(super) struct Current(Mutex<(Behaviour, Arc<Semaphore>)>);

impl Current {
    pub(super) fn new(behaviour: Behaviour) -> Result<Self, OutOfRange> {
        check(&behaviour)?;
        Ok(Self(Mutex::new((behaviour, Arc::new(Semaphore::new(behaviour.capacity))))))
    }

    /// It, and the room there is. Charges that wait when the capacity changes wait
    /// for the room that there was.
    pub(super) fn now(&self) -> (Behaviour, Arc<Semaphore>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is named, all of it or nothing.
    pub(super) fn change(&self, change: &Change) -> Result<Behaviour, OutOfRange> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = current.0;
        let new = Behaviour {
            delay_ms: change.delay_ms.unwrap_or(old.delay_ms),
            jitter_ms: change.jitter_ms.unwrap_or(old.jitter_ms),
            error_share: change.error_share.unwrap_or(old.error_share),
            capacity: change.capacity.unwrap_or(old.capacity),
        };
        check(&new)?;
        current.0 = new;
        if new.capacity != old.capacity {
            current.1 = Arc::new(Semaphore::new(new.capacity));
        }
        Ok(new)
    }
}

fn check(behaviour: &Behaviour) -> Result<(), OutOfRange> {
    let refuse = |field, reason| Err(OutOfRange { field, reason });
    if !(0.0..=MAX_DELAY_MS).contains(&behaviour.delay_ms) {
        return refuse("delay_ms", "must be 0 to 600000");
    }
    if !(0.0..=MAX_DELAY_MS).contains(&behaviour.jitter_ms) {
        return refuse("jitter_ms", "must be 0 to 600000");
    }
    if !(0.0..=1.0).contains(&behaviour.error_share) {
        return refuse("error_share", "must be 0 to 1");
    }
    if !(1..=MAX_CAPACITY).contains(&behaviour.capacity) {
        return refuse("capacity", "must be 1 to 10000");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_keeps_what_it_does_not_name_and_is_refused_as_a_whole() {
        let current = Current::new(Behaviour::default()).unwrap();
        let new = current.change(&Change { delay_ms: Some(200.0), ..Change::default() }).unwrap();
        assert_eq!(new, Behaviour { delay_ms: 200.0, ..Behaviour::default() });
        let wrong = Change { delay_ms: Some(1.0), error_share: Some(1.5), ..Change::default() };
        assert_eq!(current.change(&wrong).unwrap_err().field, "error_share");
        assert_eq!(current.now().0, new);
        assert_eq!(current.change(&Change { capacity: Some(3), ..Change::default() }).unwrap().capacity, 3);
        assert_eq!(current.now().1.available_permits(), 3);
    }

    #[test]
    fn delays_stay_within_the_jitter() {
        let behaviour = Behaviour { delay_ms: 7.0, jitter_ms: 2.0, ..Behaviour::default() };
        assert_eq!(behaviour.delay(0.0), Duration::from_millis(5));
        assert_eq!(behaviour.delay(0.5), Duration::from_millis(7));
        assert_eq!(Behaviour { delay_ms: 1.0, ..behaviour }.delay(0.0), Duration::ZERO);
    }
}
