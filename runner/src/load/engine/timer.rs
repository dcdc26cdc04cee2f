//! One worker's clock and deadlines: a heap on a timerfd.
//!
//! tokio's timer ticks once a millisecond; a load that is to be sent within one needs better.
//! Everything here is local to the worker's thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) type Nanos = u64;

const NEVER: Nanos = Nanos::MAX;

/// The time.
pub(crate) fn now() -> Nanos {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// The deadlines of one worker.
pub(crate) struct Timer {
    fd: AsyncFd<OwnedFd>,
    /// By time, then in the order in which they were set.
    deadlines: RefCell<BTreeMap<(Nanos, u64), Waker>>,
    next: Cell<u64>,
    armed: Cell<Nanos>,
    /// When every deadline is taken to have come: the load is to end.
    end: Cell<Nanos>,
}

impl Timer {
    /// A timer for the runtime of this thread.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn new() -> io::Result<Rc<Self>> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Rc::new(Self {
            fd: watched(fd)?,
            deadlines: RefCell::default(),
            next: Cell::new(0),
            armed: Cell::new(NEVER),
            end: Cell::new(NEVER),
        }))
    }

    /// Wakes whose deadline has come, for as long as it is polled. Cancel safe.
    ///
    /// # Errors
    /// The runtime is going.
    pub(crate) async fn drive(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            loop {
                // Setting the timer again clears what would have to be read.
                ready!(self.fd.poll_read_ready(cx))?.clear_ready();
                self.fire();
            }
        })
        .await
    }

    /// Lets every wait end at `at` at the latest.
    pub(crate) fn end_at(&self, at: Nanos) {
        self.end.set(at.min(self.end.get()));
        self.arm(self.end.get());
    }

    /// Whether the time has come at which every wait ends.
    pub(crate) fn is_over(&self) -> bool {
        now() >= self.end.get()
    }

    /// Wakes all who wait, so that they look around; who still has to wait goes on.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<Waker> = self.deadlines.borrow().values().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until `deadline`. Cancel safe.
    pub(crate) fn sleep_until(self: &Rc<Self>, deadline: Nanos) -> Sleep {
        Sleep { timer: Rc::clone(self), deadline, key: None }
    }

    /// Does `work`, until `deadline` at the latest: then none. Cancel safe if `work` is.
    pub(crate) async fn within<T>(
        self: &Rc<Self>,
        deadline: Nanos,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        let mut sleep = self.sleep_until(deadline);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            Pin::new(&mut sleep).poll(cx).map(|()| None)
        })
        .await
    }

    fn fire(&self) {
        let now = now();
        self.armed.set(NEVER);
        let all = now >= self.end.get();
        loop {
            let mut deadlines = self.deadlines.borrow_mut();
            let Some(first) = deadlines.first_entry() else { return };
            let due = first.key().0;
            if due > now && !all {
                drop(deadlines);
                self.arm(due);
                return;
            }
            let waker = first.remove();
            // Not borrowed while waking: what is woken may take back a deadline.
            drop(deadlines);
            waker.wake();
        }
    }

    fn arm(&self, at: Nanos) {
        let at = at.min(self.end.get());
        if at >= self.armed.get() {
            return;
        }
        self.armed.set(at);
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(at / 1_000_000_000).unwrap_or(i64::MAX),
                // 0 in both would disarm it.
                tv_nsec: (at % 1_000_000_000).max(1) as i64,
            },
        };
        // It fails only for a bad descriptor or a bad time, which these are not.
        let set = timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &spec);
        debug_assert!(set.is_ok(), "timerfd_settime: {set:?}");
    }
}

/// Has the runtime watch a descriptor.
#[allow(
    deprecated,
    reason = "the new way is unsafe for types that may change their descriptor; OwnedFd cannot"
)]
fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// Waits until a deadline.
pub(crate) struct Sleep {
    timer: Rc<Timer>,
    deadline: Nanos,
    key: Option<(Nanos, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let due = this.deadline.min(this.timer.end.get());
        if let Some(key) = this.key {
            let mut deadlines = this.timer.deadlines.borrow_mut();
            if let Some(waker) = deadlines.get_mut(&key) {
                // Most polls are for another reason than the time: no need to look at the clock.
                waker.clone_from(cx.waker());
                return Poll::Pending;
            }
        }
        if now() >= due {
            return Poll::Ready(());
        }
        let key = (this.deadline, this.timer.next.get());
        this.timer.next.set(key.1 + 1);
        this.timer.deadlines.borrow_mut().insert(key, cx.waker().clone());
        this.key = Some(key);
        this.timer.arm(this.deadline);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.timer.deadlines.borrow_mut().remove(&key);
        }
    }
}
