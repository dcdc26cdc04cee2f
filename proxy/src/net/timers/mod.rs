//! Deadlines that are met to within tens of microseconds.
//!
//! tokio's timer wheel ticks once a millisecond and is late by 1.1 ms in the
//! median; a delay of 5 ms has to be 5 ms. So each worker thread has a heap of
//! deadlines on one timerfd, which epoll reports like any other descriptor.
//! Everything is local to the thread: no lock, no atomic.
//!
//! [`Clock`] is what the relays see; [`Monotonic`] is the real one, and tests put
//! virtual time in its place.

mod heap;
#[cfg(test)]
pub(crate) mod virtual_time;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use sabot_toxics::Time;

use crate::histogram::Histogram;

use heap::{Heap, Key};
use tokio::io::unix::AsyncFd;

/// Upper bounds of what is told of lateness, in microseconds: powers of two.
pub(crate) const BOUNDS_US: [u64; 16] =
    [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131_072];

/// Tells the time and wakes one task at one deadline.
pub(crate) trait Clock: Send + 'static {
    /// The time, from an origin that is one for the whole process.
    fn now(&self) -> Time;

    /// Wakes the task of `cx` once `deadline` has come, instead of at any deadline
    /// set before; `None` wakes it no more. `now` is what [`Self::now`] said when
    /// the task's turn began. A deadline that has passed wakes the task at once.
    fn wake_at(&mut self, cx: &Context<'_>, now: Time, deadline: Option<Time>);

    /// Ready once `deadline` has come.
    fn poll_until(&mut self, cx: &Context<'_>, deadline: Time) -> Poll<()> {
        let now = self.now();
        if now >= deadline {
            self.wake_at(cx, now, None);
            return Poll::Ready(());
        }
        self.wake_at(cx, now, Some(deadline));
        Poll::Pending
    }
}

/// Waits until `deadline`. Cancel safe.
pub(crate) async fn sleep_until(clock: &mut impl Clock, deadline: Time) {
    std::future::poll_fn(|cx| clock.poll_until(cx, deadline)).await;
}

/// Runs `work` until `deadline`; `None` if it was not done by then. Cancel safe if
/// `work` is.
///
/// tokio's timeout would do for precision, but wakes its own driver through an
/// eventfd for more than every third timer set: dials set one each.
pub(crate) async fn within<T>(
    clock: &mut impl Clock,
    deadline: Time,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        clock.poll_until(cx, deadline).map(|()| None)
    })
    .await
}

/// `CLOCK_MONOTONIC`, whose origin is the machine's start.
pub(crate) fn monotonic_now() -> Time {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    Time::from_nanos(seconds * 1_000_000_000 + nanos)
}

/// The real clock: one deadline in the heap of the worker that polls it.
///
/// It must be polled on one worker thread only, which tasks of a current-thread
/// runtime are.
#[derive(Debug, Default)]
pub(crate) struct Monotonic {
    /// The deadline set last and, while it lies ahead, its place in the heap.
    armed: Option<(Time, Key)>,
}

impl Clock for Monotonic {
    fn now(&self) -> Time {
        monotonic_now()
    }

    fn wake_at(&mut self, cx: &Context<'_>, now: Time, deadline: Option<Time>) {
        if let Some((due, _)) = self.armed
            && deadline == Some(due)
            && now < due
        {
            return;
        }
        if self.armed.is_none() && deadline.is_none() {
            return;
        }
        with_timers(|timers| self.rearm(timers, cx.waker(), now, deadline));
    }
}

impl Monotonic {
    fn rearm(&mut self, timers: &Timers, waker: &Waker, now: Time, deadline: Option<Time>) {
        if let Some((due, key)) = self.armed.take() {
            if now >= due {
                timers.lateness.record(now.saturating_since(due));
            }
            timers.heap.borrow_mut().remove(key);
        }
        // A busy worker looks at the timerfd only now and then; while it has the time
        // in hand, it costs nothing to wake whoever else is due.
        timers.wake_due(now);
        match deadline {
            None => {}
            Some(due) if due <= now => waker.wake_by_ref(),
            Some(due) => {
                let key = timers.heap.borrow_mut().insert(due, waker.clone());
                self.armed = Some((due, key));
                timers.arm_by(now, due);
            }
        }
    }
}

impl Drop for Monotonic {
    fn drop(&mut self) {
        if let Some((_, key)) = self.armed {
            // Gone already if the worker is going: its heap goes with it.
            let _ = TIMERS.try_with(|cell| {
                if let Some(timers) = &*cell.borrow() {
                    timers.heap.borrow_mut().remove(key);
                }
            });
        }
    }
}

thread_local! {
    static TIMERS: RefCell<Option<Rc<Timers>>> = const { RefCell::new(None) };
}

fn with_timers<T>(call: impl FnOnce(&Timers) -> T) -> T {
    TIMERS.with(|cell| {
        let timers = cell.borrow();
        #[allow(clippy::expect_used, reason = "only a worker polls a relay: anything else is our own bug")]
        call(timers.as_ref().expect("timers are used on worker threads only"))
    })
}

/// The timers of one worker thread.
pub(crate) struct Timers {
    fd: OwnedFd,
    heap: RefCell<Heap>,
    /// When the timerfd fires; never after the heap's first deadline. It may fire
    /// for a deadline that was taken back: that is cheaper than a system call for
    /// each one taken back.
    armed: Cell<Time>,
    /// How long a thread that slept takes to wake up, as seen lately.
    lead: Cell<Duration>,
    lateness: Arc<Histogram>,
}

/// A core without work for this long has gone to sleep, and takes its time to wake
/// up: 50 to 100 µs in a virtual machine. The timer of such a worker is set earlier
/// by what waking took lately, and the few microseconds that may be left are spun.
/// A busy worker is awake anyway and never spins.
const ASLEEP: Duration = Duration::from_millis(1);

/// More is never spun: what is later than this is late for another reason.
const LEAD_LIMIT: Duration = Duration::from_micros(100);

/// The end of time: no deadline.
const NEVER: Time = Time::from_nanos(u64::MAX);

impl Timers {
    /// Makes this thread a worker with timers on `fd`.
    pub(crate) fn install(fd: OwnedFd, lateness: Arc<Histogram>) -> Rc<Self> {
        let heap = RefCell::new(Heap::default());
        let timers = Rc::new(Self { fd, heap, armed: Cell::new(NEVER), lead: Cell::default(), lateness });
        TIMERS.set(Some(Rc::clone(&timers)));
        timers
    }

    /// Wakes tasks at their deadlines for as long as it is polled, on the thread
    /// that installed the timers. `watch` is a second descriptor of the same timer.
    /// Cancel safe.
    ///
    /// # Errors
    /// The runtime is going.
    pub(crate) async fn drive(&self, watch: AsyncFd<OwnedFd>) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            loop {
                // Setting the timerfd again clears what it would have to be read for.
                ready!(watch.poll_read_ready(cx))?.clear_ready();
                self.fire();
            }
        })
        .await
    }

    fn fire(&self) {
        let mut now = monotonic_now();
        self.learn(now);
        let heap = self.heap.borrow();
        // Awake a little early, as planned: the rest is too short to sleep.
        while heap.first().is_some_and(|due| due > now && due.saturating_since(now) <= self.lead.get()) {
            std::hint::spin_loop();
            now = monotonic_now();
        }
        drop(heap);
        self.wake_due(now);
        let next = self.heap.borrow().first();
        self.armed.set(NEVER);
        if let Some(next) = next {
            self.arm_by(now, next);
        }
    }

    fn wake_due(&self, now: Time) {
        loop {
            // Not borrowed while waking: what is woken may end, and take back a timer.
            let due = self.heap.borrow_mut().pop_due(now);
            let Some(waker) = due else { return };
            waker.wake();
        }
    }

    /// Follows how late the thread wakes up: upwards slowly, so that a worker that
    /// is late now and then because it is busy does not take it for sleep.
    fn learn(&self, now: Time) {
        let late = now.saturating_since(self.armed.get()).min(LEAD_LIMIT);
        let lead = self.lead.get();
        let weight = if late > lead { 16 } else { 4 };
        self.lead.set(lead - lead / weight + late / weight);
    }

    fn arm_by(&self, now: Time, deadline: Time) {
        if deadline >= self.armed.get() {
            return;
        }
        let asleep = deadline.saturating_since(now) >= ASLEEP;
        let at = if asleep { deadline.saturating_sub(self.lead.get()) } else { deadline };
        self.armed.set(at);
        let at = Duration::from_nanos(at.as_nanos());
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(at.subsec_nanos()),
            },
        };
        // It fails only for a bad descriptor or a bad time, which these are not.
        let set = timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &spec);
        debug_assert!(set.is_ok(), "timerfd_settime: {set:?}");
    }
}

/// A timerfd that is not set.
///
/// # Errors
/// No descriptor left.
pub(crate) fn timerfd() -> io::Result<OwnedFd> {
    Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
}

/// Takes this thread's timers away again, when its runtime is gone.
pub(crate) fn uninstall() {
    TIMERS.set(None);
}
