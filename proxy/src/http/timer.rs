//! hyper's timers, on those of the worker: exact, and without a wake-up of tokio's driver.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use sabot_toxics::Time;

use crate::net::timers::monotonic_now;
use crate::net::{Clock, Monotonic};

/// Makes timers of the worker that polls them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WorkerTimer;

struct Deadline {
    due: Time,
    clock: Monotonic,
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.due;
        self.clock.poll_until(cx, due)
    }
}

impl Sleep for Deadline {}

impl Timer for WorkerTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Deadline { due: monotonic_now() + duration, clock: Monotonic::default() })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Deadline>() {
            Some(mut mine) => mine.due = monotonic_now() + deadline.saturating_duration_since(Instant::now()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}
