//! The way of one endpoint's requests: connection, sending, answer, fate.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use super::call::{Answer, Call, Sent};
use super::cause::Cause;
use super::pool::{Connection, Denied, Dial, Limits, Pool, Pooled};
use super::timer::{Nanos, Timer, now};
use crate::load::code::Code;
use crate::load::template::Values;
use crate::outcome::Fate;

/// A call whose kind is forgotten: what the load keeps for each endpoint.
pub(crate) trait AnyCall: Send + Sync {
    /// As [`Call::show`].
    fn show(&self, values: &Values<'_>) -> Vec<u8>;

    /// The way of its requests within one worker.
    fn lane(self: Arc<Self>, pools: &mut Pools, timeout: Nanos) -> Rc<dyn AnyLane>;
}

/// A lane whose kind is forgotten.
pub(crate) trait AnyLane {
    /// Sends one request; ends within the limits of connection, queue and answer.
    fn run<'a>(&'a self, values: Values<'a>) -> Pin<Box<dyn Future<Output = Done> + 'a>>;
}

/// How a request ended.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub fate: Fate,
    pub code: Option<Code>,
    /// Why, as far as anybody said so.
    pub cause: Option<Cause>,
    pub sent: Option<Nanos>,
    /// It was sent a second time.
    pub resent: bool,
}

impl Done {
    /// It was not sent at all.
    pub(crate) fn dropped() -> Self {
        Self { fate: Fate::Dropped, code: None, cause: None, sent: None, resent: false }
    }
}

/// Takes how many connections were opened since it was asked last.
type TakeOpened = Box<dyn Fn() -> u64>;

/// The pools of one worker, by what connections are shared by.
pub(crate) struct Pools {
    pub limits: Limits,
    pub timer: Rc<Timer>,
    by_key: BTreeMap<String, Rc<dyn Any>>,
    opened: Vec<TakeOpened>,
}

impl Pools {
    pub(crate) fn new(limits: Limits, timer: &Rc<Timer>) -> Self {
        Self { limits, timer: Rc::clone(timer), by_key: BTreeMap::new(), opened: Vec::new() }
    }

    /// Connections opened since it was asked last.
    pub(crate) fn take_opened(&self) -> u64 {
        self.opened.iter().map(|take| take()).sum()
    }

    fn pool<C: Connection>(&mut self, key: String, multiplexed: Option<bool>) -> Rc<Pool<C>> {
        // The key begins with the kind, so one key has one type.
        let shared = self.by_key.get(&key).map(Rc::clone).and_then(|pool| pool.downcast::<Pool<C>>().ok());
        shared.unwrap_or_else(|| {
            let pool = Pool::new(self.limits, &self.timer, multiplexed);
            self.by_key.insert(key, Rc::clone(&pool) as Rc<dyn Any>);
            let counted = Rc::clone(&pool);
            self.opened.push(Box::new(move || counted.take_opened()));
            pool
        })
    }
}

impl<C: Call> AnyCall for C {
    fn show(&self, values: &Values<'_>) -> Vec<u8> {
        Call::show(self, values)
    }

    fn lane(self: Arc<Self>, pools: &mut Pools, timeout: Nanos) -> Rc<dyn AnyLane> {
        let pool = pools.pool(self.pool_key(), self.multiplexed());
        let caller = Arc::clone(&self);
        let dial: Dial<C::Connection> = Rc::new(move || Box::pin(caller.connect()));
        Rc::new(Lane { call: self, pool, dial, timer: Rc::clone(&pools.timer), timeout })
    }
}

struct Lane<C: Call> {
    call: Arc<C>,
    pool: Rc<Pool<C::Connection>>,
    dial: Dial<C::Connection>,
    timer: Rc<Timer>,
    timeout: Nanos,
}

impl<C: Call> AnyLane for Lane<C> {
    fn run<'a>(&'a self, values: Values<'a>) -> Pin<Box<dyn Future<Output = Done> + 'a>> {
        Box::pin(async move {
            let sent: Sent = Rc::new(Cell::new(None));
            let mut resent = false;
            loop {
                let done = |fate, code, cause| Done { fate, code, cause, sent: sent.get(), resent };
                let pooled = match self.pool.acquire(resent, &self.dial).await {
                    Ok(pooled) => pooled,
                    Err(Denied::Busy) => return done(Fate::Dropped, None, None),
                    Err(Denied::Cut) => return done(Fate::Cut, None, None),
                    Err(Denied::Unreachable(why)) => return done(Fate::Connect, None, Some(why.0)),
                };
                let (answer, retry) = self.exchange(&pooled, &values, &sent).await;
                if retry && !resent {
                    resent = true;
                    continue;
                }
                return done(answer.fate, answer.code, answer.cause);
            }
        })
    }
}

impl<C: Call> Lane<C> {
    /// Sends a request on a connection; also whether it may be sent again on another.
    async fn exchange(
        &self,
        pooled: &Rc<Pooled<C::Connection>>,
        values: &Values<'_>,
        sent: &Sent,
    ) -> (Answer, bool) {
        let connection = &pooled.connection;
        let marks = connection.marks();
        let (reads, alone) = (marks.reads(), connection.capacity() == 1);
        marks.stamp(sent);
        let lease = Lease { lane: self, pooled, keep: Cell::new(false) };
        let answer = self.timer.within(now() + self.timeout, self.call.send(connection, values, sent)).await;
        if sent.get().is_none() {
            marks.forget(sent);
        }
        let given_up = || if self.timer.is_over() { Fate::Cut } else { Fate::Timeout };
        let answer = answer.unwrap_or_else(|| Answer { keep: !alone, ..Answer::broken(given_up()) });
        lease.keep.set(answer.keep);
        // As real clients do: a pooled connection that turns out to be closed before any byte of the
        // answer was closed for its idleness, not for this request.
        let closed = answer.fate == Fate::Reset && pooled.is_reused();
        let silent = alone && marks.reads() == reads && self.call.is_idempotent();
        let again = closed && (answer.unsent || silent);
        (answer, again)
    }
}

/// Gives the connection back, however the request ends.
struct Lease<'a, C: Call> {
    lane: &'a Lane<C>,
    pooled: &'a Rc<Pooled<C::Connection>>,
    keep: Cell<bool>,
}

impl<C: Call> Drop for Lease<'_, C> {
    fn drop(&mut self) {
        self.lane.pool.release(self.pooled, self.keep.get(), &self.lane.dial);
    }
}
