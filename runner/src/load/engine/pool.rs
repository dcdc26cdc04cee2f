//! The connections of one worker to one target, as a real client keeps them.
//!
//! - The connection used last is used first; closed ones are dropped when they are met.
//! - A request that finds none free dials, if the limit allows; else it waits in line. Whichever comes
//!   first, its own dial or a connection that somebody gives back, is taken.
//! - A connection may carry several requests at once (HTTP/2). As long as it is not known that
//!   connections of this pool cannot, one dial at a time serves all who wait.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::dial::NoConnection;
use super::timer::{Nanos, Timer, now};
use super::wire::Marks;

/// A connection of one kind, as the pool sees it.
pub(crate) trait Connection: 'static {
    /// Whether it can still carry requests.
    fn is_open(&self) -> bool;

    /// How many requests it carries at once.
    fn capacity(&self) -> u32;

    /// What is known of its bytes.
    fn marks(&self) -> &Marks;
}

/// How a pool behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections open or on their way.
    pub connections: u32,
    /// How long a dial may take.
    pub connect: Nanos,
    /// How long a request may wait in line.
    pub queue: Nanos,
}

/// Why a request got no connection.
#[derive(Clone, Debug)]
pub(crate) enum Denied {
    /// None came free in time.
    Busy,
    /// Its dial failed.
    Unreachable(NoConnection),
    /// The load ended first.
    Cut,
}

/// The connections to one target.
pub(crate) struct Pool<C> {
    limits: Limits,
    timer: Rc<Timer>,
    /// Connections with room, the one used last at the end.
    idle: RefCell<Vec<Rc<Pooled<C>>>>,
    /// Open or on their way.
    open: Cell<u32>,
    dialing: Cell<u32>,
    waiting: RefCell<VecDeque<Rc<Waiter<C>>>>,
    /// Whether connections carry several requests; none as long as nobody knows.
    multiplexed: Cell<Option<bool>>,
    opened: Cell<u64>,
}

/// A connection in use or at rest.
pub(crate) struct Pooled<C> {
    pub(crate) connection: C,
    users: Cell<u32>,
    served: Cell<u64>,
    retired: Cell<bool>,
}

impl<C> Pooled<C> {
    /// Whether it carried a request before the present one.
    pub(crate) fn is_reused(&self) -> bool {
        self.served.get() > 1
    }
}

struct Waiter<C> {
    got: RefCell<Option<Result<Rc<Pooled<C>>, Denied>>>,
    waker: RefCell<Option<Waker>>,
    /// A dial is under way for it.
    dialing: Cell<bool>,
    /// It waits no more.
    gone: Cell<bool>,
}

impl<C> Waiter<C> {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            got: RefCell::new(None),
            waker: RefCell::new(None),
            dialing: Cell::new(false),
            gone: Cell::new(false),
        })
    }

    fn is_waiting(&self) -> bool {
        !self.gone.get() && self.got.borrow().is_none()
    }

    fn give(&self, what: Result<Rc<Pooled<C>>, Denied>) {
        *self.got.borrow_mut() = Some(what);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Opens a connection.
pub(crate) type Dial<C> = Rc<dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<C, NoConnection>>>>>;

impl<C: Connection> Pool<C> {
    /// An empty pool; `multiplexed` if it is known beforehand.
    pub(crate) fn new(limits: Limits, timer: &Rc<Timer>, multiplexed: Option<bool>) -> Rc<Self> {
        Rc::new(Self {
            limits,
            timer: Rc::clone(timer),
            idle: RefCell::default(),
            open: Cell::new(0),
            dialing: Cell::new(0),
            waiting: RefCell::default(),
            multiplexed: Cell::new(multiplexed),
            opened: Cell::new(0),
        })
    }

    /// Connections opened since it was asked last.
    pub(crate) fn take_opened(&self) -> u64 {
        self.opened.take()
    }

    /// A connection for one request; `fresh` takes none that was used before, if it can be helped.
    pub(crate) async fn acquire(
        self: &Rc<Self>,
        fresh: bool,
        dial: &Dial<C>,
    ) -> Result<Rc<Pooled<C>>, Denied> {
        if fresh {
            self.make_room();
        } else if let Some(pooled) = self.take_idle() {
            return Ok(pooled);
        }
        let waiter = Waiter::new();
        if fresh {
            self.waiting.borrow_mut().push_front(Rc::clone(&waiter));
        } else {
            self.waiting.borrow_mut().push_back(Rc::clone(&waiter));
        }
        self.feed(dial);
        let guard = Gone { pool: self, waiter: &waiter, dial };
        let patience = now() + self.limits.queue;
        if let Some(got) = self.timer.within(patience, got(&waiter)).await {
            return got;
        }
        // A dial has a limit of its own, and ends as what it is: no connection, rather than no room.
        let dialed = waiter.dialing.get() || (self.shares_dials() && self.dialing.get() > 0);
        if dialed && let Some(got) = self.timer.within(patience + self.limits.connect, got(&waiter)).await {
            return got;
        }
        drop(guard);
        Err(if dialed { self.undialed() } else { self.busy() })
    }

    /// Gives a connection back; `keep` unless it is of no more use.
    pub(crate) fn release(self: &Rc<Self>, pooled: &Rc<Pooled<C>>, keep: bool, dial: &Dial<C>) {
        pooled.users.set(pooled.users.get().saturating_sub(1));
        if keep && !pooled.retired.get() && pooled.connection.is_open() {
            self.offer(pooled);
        } else {
            self.retire(pooled);
        }
        self.feed(dial);
    }

    fn busy(&self) -> Denied {
        if self.timer.is_over() { Denied::Cut } else { Denied::Busy }
    }

    /// A dial that did not come to its end.
    fn undialed(&self) -> Denied {
        if self.timer.is_over() {
            return Denied::Cut;
        }
        let limit = Duration::from_nanos(self.limits.connect);
        Denied::Unreachable(NoConnection::because(format_args!("no connection within {limit:?}")))
    }

    /// Whether those who wait share one dial.
    fn shares_dials(&self) -> bool {
        self.multiplexed.get() != Some(false)
    }

    fn take_idle(&self) -> Option<Rc<Pooled<C>>> {
        loop {
            let last = self.idle.borrow().last().map(Rc::clone)?;
            if !last.connection.is_open() {
                self.retire(&last);
                continue;
            }
            last.users.set(last.users.get() + 1);
            last.served.set(last.served.get() + 1);
            if last.users.get() >= last.connection.capacity() {
                self.idle.borrow_mut().pop();
            }
            return Some(last);
        }
    }

    /// Lets the connection at rest go that was used longest ago, if the limit is reached.
    fn make_room(&self) {
        if self.open.get() < self.limits.connections {
            return;
        }
        let unused = self.idle.borrow().iter().find(|pooled| pooled.users.get() == 0).map(Rc::clone);
        if let Some(pooled) = unused {
            self.retire(&pooled);
        }
    }

    /// Takes a connection out of the pool; requests on it go on.
    fn retire(&self, pooled: &Rc<Pooled<C>>) {
        self.idle.borrow_mut().retain(|other| !Rc::ptr_eq(other, pooled));
        if !pooled.retired.replace(true) {
            self.open.set(self.open.get() - 1);
        }
    }

    /// Hands a connection's room to those who wait, in order, and keeps it at rest if some is left.
    fn offer(&self, pooled: &Rc<Pooled<C>>) {
        while pooled.users.get() < pooled.connection.capacity() {
            let Some(waiter) = self.next_waiting() else {
                let mut idle = self.idle.borrow_mut();
                if !idle.iter().any(|other| Rc::ptr_eq(other, pooled)) {
                    idle.push(Rc::clone(pooled));
                }
                return;
            };
            pooled.users.set(pooled.users.get() + 1);
            pooled.served.set(pooled.served.get() + 1);
            waiter.give(Ok(Rc::clone(pooled)));
        }
        self.idle.borrow_mut().retain(|other| !Rc::ptr_eq(other, pooled));
    }

    fn next_waiting(&self) -> Option<Rc<Waiter<C>>> {
        let mut waiting = self.waiting.borrow_mut();
        loop {
            let waiter = waiting.pop_front()?;
            if waiter.is_waiting() {
                return Some(waiter);
            }
        }
    }

    /// Dials for those who wait, as far as the limit allows.
    fn feed(self: &Rc<Self>, dial: &Dial<C>) {
        loop {
            if self.open.get() >= self.limits.connections || (self.shares_dials() && self.dialing.get() > 0) {
                return;
            }
            let waiting = self.waiting.borrow();
            let Some(waiter) = waiting.iter().find(|waiter| waiter.is_waiting() && !waiter.dialing.get())
            else {
                return;
            };
            waiter.dialing.set(true);
            self.open.set(self.open.get() + 1);
            self.dialing.set(self.dialing.get() + 1);
            let (pool, waiter, dial) = (Rc::clone(self), Rc::clone(waiter), Rc::clone(dial));
            drop(waiting);
            tokio::task::spawn_local(async move { pool.dial(&waiter, &dial).await });
        }
    }

    async fn dial(self: &Rc<Self>, waiter: &Rc<Waiter<C>>, dial: &Dial<C>) {
        let dialed = self.timer.within(now() + self.limits.connect, dial()).await;
        self.dialing.set(self.dialing.get() - 1);
        waiter.dialing.set(false);
        match dialed {
            Some(Ok(connection)) => {
                self.opened.set(self.opened.get() + 1);
                self.multiplexed.set(Some(connection.capacity() > 1));
                let pooled = Rc::new(Pooled {
                    connection,
                    users: Cell::new(0),
                    served: Cell::new(0),
                    retired: Cell::new(false),
                });
                if waiter.is_waiting() {
                    pooled.users.set(1);
                    pooled.served.set(1);
                    waiter.give(Ok(Rc::clone(&pooled)));
                }
                self.offer(&pooled);
            }
            failed => {
                let denied = match failed {
                    Some(Err(why)) => Denied::Unreachable(why),
                    _ => self.undialed(),
                };
                self.open.set(self.open.get() - 1);
                if waiter.is_waiting() {
                    waiter.give(Err(denied.clone()));
                }
                // Whoever shared this dial has its answer too: dialing again for each in turn would
                // let the last wait for all of them.
                while self.shares_dials()
                    && let Some(other) = self.next_waiting()
                {
                    other.give(Err(denied.clone()));
                }
            }
        }
        self.feed(dial);
    }
}

async fn got<C>(waiter: &Waiter<C>) -> Result<Rc<Pooled<C>>, Denied> {
    std::future::poll_fn(|cx| match waiter.got.borrow_mut().take() {
        Some(got) => Poll::Ready(got),
        None => {
            *waiter.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        }
    })
    .await
}

/// Takes a waiter out of the line when it waits no more.
struct Gone<'a, C: Connection> {
    pool: &'a Rc<Pool<C>>,
    waiter: &'a Rc<Waiter<C>>,
    dial: &'a Dial<C>,
}

impl<C: Connection> Drop for Gone<'_, C> {
    fn drop(&mut self) {
        self.waiter.gone.set(true);
        // Who waits no more is mostly at the front; the rest is passed over when its turn comes.
        let mut waiting = self.pool.waiting.borrow_mut();
        while waiting.front().is_some_and(|first| !first.is_waiting()) {
            waiting.pop_front();
        }
        drop(waiting);
        // Given at the last moment: somebody else may have it.
        let late = self.waiter.got.borrow_mut().take();
        if let Some(Ok(pooled)) = late {
            self.pool.release(&pooled, true, self.dial);
        }
    }
}
