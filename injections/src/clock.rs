//! What time it is, by two clocks: one for people, and one that nobody sets.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Milliseconds since 1970 by the clock on the wall, which may jump.
    pub wall_ms: u64,
    /// Milliseconds since the machine was started, sleep included; what all waiting goes by.
    pub steady_ms: u64,
}

impl Moment {
    /// The same later, by both clocks.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self { wall_ms: self.wall_ms.saturating_add(ms), steady_ms: self.steady_ms.saturating_add(ms) }
    }
}

/// Where time comes from: the machine, or a test.
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Moment;
    /// Which start of the machine `steady_ms` counts from; empty if that cannot be known.
    fn boot(&self) -> String;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Clock for Machine {
    fn now(&self) -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let steady = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let steady = Duration::new(
            u64::try_from(steady.tv_sec).unwrap_or(0),
            u32::try_from(steady.tv_nsec).unwrap_or(0),
        );
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Moment { wall_ms: ms(wall), steady_ms: ms(steady) }
    }

    fn boot(&self) -> String {
        // Without it a restart goes by the clock on the wall.
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    }
}
