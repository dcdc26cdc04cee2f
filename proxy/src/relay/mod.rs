//! One connection: bytes from each peer to the other, through the toxics.
//!
//! A connection is one task and one hand-written poll over both directions; no
//! `select!`, no `copy_bidirectional`, no `write_all`, so nothing that was read can
//! be lost when a plan, a timer or a peer interrupts. The rooms:
//!
//! - [`shared`]: what the controller and the relay share
//! - [`flow`]: one direction, and its choice between the two ways below
//! - [`fast`]: no toxic: small messages through a buffer of the thread, bulk by splice
//! - [`staged`]: through a pipeline of toxics, timed
//! - [`arrivals`]: when the bytes came that toxics hold
//! - [`closing`]: the orderly close that a toxic asks for
//! - [`pipe`], [`chunk`]: pools of the thread
//! - [`budget`]: how many bytes the process may hold
//!
//! It does not accept, dial, count connections or know proxies.

mod arrivals;
pub(crate) mod budget;
mod chunk;
mod closing;
mod fast;
mod flow;
mod pipe;
pub(crate) mod shared;
mod staged;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use sabot_toxics::{Direction, End, Time};

use crate::net::{Clock, Stream};
use arrivals::Arrivals;
use closing::Closing;
use flow::{Flow, Turn};
pub(crate) use shared::{ConnShared, Policy, State};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Both peers sent FIN.
    Finished,
    /// The client sent RST, or is gone.
    ClientReset,
    /// The upstream sent RST, or is gone.
    UpstreamReset,
    /// A toxic closed it.
    ToxicClosed,
    /// A toxic reset it.
    ToxicReset,
    /// The controller closed it.
    Killed,
}

impl Reason {
    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::ClientReset => "client_reset",
            Self::UpstreamReset => "upstream_reset",
            Self::ToxicClosed => "toxic_closed",
            Self::ToxicReset => "toxic_reset",
            Self::Killed => "closed",
        }
    }
}

/// Relays between the two until the connection has ended, and closes both.
///
/// Cancel safe in that dropping it closes both sockets. `shared` carries the
/// counters, and wakes the task when there is a new plan or a kill.
pub(crate) async fn relay<C: Clock>(
    client: Stream,
    upstream: Stream,
    shared: Arc<ConnShared>,
    clock: C,
) -> Reason {
    relay_for(client, upstream, shared, clock, None).await
}

/// The same for a side of this process's own: once `left` is set and the client has its
/// FIN, nothing that the client may still send is wanted.
pub(crate) async fn relay_for<C: Clock>(
    client: Stream,
    upstream: Stream,
    shared: Arc<ConnShared>,
    clock: C,
    left: Option<Arc<AtomicBool>>,
) -> Reason {
    let mut flows = [Flow::new(Direction::Upstream), Flow::new(Direction::Downstream)];
    // This process's own wants to know when it was asked.
    flows[0].arrivals = left.is_some().then(Arrivals::default);
    let mut relay = Relay {
        peers: [client, upstream],
        flows,
        closing: None,
        fin_due: [false; 2],
        left,
        version: 0,
        registered: None,
        shared,
        clock,
    };
    relay.shared.set_state(State::Open);
    let (reason, reset) = poll_fn(|cx| relay.poll(cx)).await;
    relay.finish(reset);
    reason
}

struct Relay<C> {
    /// The client and the upstream.
    peers: [Stream; 2],
    /// Upstream (from the client) and downstream.
    flows: [Flow; 2],
    closing: Option<Box<Closing>>,
    /// Per flow, whether its sink gets a FIN at the end of the next turn.
    fin_due: [bool; 2],
    /// Set when nobody is behind the upstream side any more.
    left: Option<Arc<AtomicBool>>,
    /// Of the plan that the flows follow; 0 before the first.
    version: u64,
    /// The task that `shared` wakes: the same at every poll, so it is registered once.
    registered: Option<Waker>,
    shared: Arc<ConnShared>,
    clock: C,
}

/// How it ended and whether the peers are to get an RST.
type Ended = (Reason, bool);

impl<C: Clock> Relay<C> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        if !self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.shared.register(cx.waker());
            self.registered = Some(cx.waker().clone());
        }
        if self.shared.is_killed() {
            return Poll::Ready((Reason::Killed, self.shared.is_reset()));
        }
        // The clock is read only if something is timed: 25 ns matter on the fast path.
        let mut now = None;
        if self.shared.policy.version() != self.version {
            self.replan(*now.insert(self.clock.now()));
        }
        if self.closing.is_some() || self.is_left() {
            let now = now.unwrap_or_else(|| self.clock.now());
            self.closing.get_or_insert_with(|| Box::new(Closing::new(now)));
            return self.poll_closing(cx, now);
        }
        if self.flows.iter().any(Flow::is_staged) {
            now.get_or_insert_with(|| self.clock.now());
        }
        self.poll_flows(cx, now)
    }

    /// Gives both directions their turn. `now` is known when one of them is staged.
    fn poll_flows(&mut self, cx: &mut Context<'_>, now: Option<Time>) -> Poll<Ended> {
        let mut again = false;
        let fin_due = std::mem::take(&mut self.fin_due);
        for side in [0, 1] {
            let turn = {
                let [client, upstream] = &mut self.peers;
                let (from, to) = if side == 0 { (client, upstream) } else { (upstream, client) };
                self.flows[side].poll(cx, from, to, &self.shared, now.unwrap_or_default())
            };
            match turn {
                Turn::Wait => {}
                Turn::Again => again = true,
                Turn::Fin => {
                    if self.flows[1 - side].has_ended() {
                        // Closing says FIN as well, and saves the call.
                        return Poll::Ready((Reason::Finished, false));
                    }
                    // A peer that closes has often made the other one close too, a
                    // moment later: looking once more before the half-close saves a
                    // sixth of what a short connection costs.
                    self.fin_due[side] = true;
                    again = true;
                }
                Turn::SourceReset => return Poll::Ready((reset_by(side), true)),
                Turn::SinkReset => {
                    // What that peer has sent before comes first, then its reset.
                    if self.flows[1 - side].has_ended() {
                        return Poll::Ready((reset_by(1 - side), true));
                    }
                    self.flows[1 - side].source_is_broken();
                    again = true;
                }
                Turn::Toxic(End::Reset) => return Poll::Ready((self.flows[side].reset_reason(side), true)),
                Turn::Toxic(_) => {
                    let now = now.unwrap_or_else(|| self.clock.now());
                    self.shared.set_state(State::Closing);
                    self.closing = Some(Box::new(Closing::new(now)));
                    return self.poll_closing(cx, now);
                }
            }
        }
        for side in [0, 1] {
            if fin_due[side] {
                self.peers[1 - side].shutdown_write();
            }
        }
        self.wait(cx, now, again);
        Poll::Pending
    }

    /// Before the task sleeps: what is held is published, the timer set.
    fn wait(&mut self, cx: &mut Context<'_>, now: Option<Time>, again: bool) {
        if again {
            yield_to_others(cx);
        }
        let Some(now) = now else { return };
        let held = self.flows.iter().map(Flow::held_bytes).sum();
        self.shared.set_held(held);
        let next = self.flows.iter().filter_map(|flow| flow.next_wake(now)).min();
        self.clock.wake_at(cx, now, next);
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<Ended> {
        let Some(closing) = &mut self.closing else { return Poll::Pending };
        if closing.poll(cx, &mut self.peers, &mut self.flows, &self.shared, now).is_ready() {
            let reason = if self.is_left() { Reason::Finished } else { Reason::ToxicClosed };
            return Poll::Ready((reason, false));
        }
        self.clock.wake_at(cx, now, Some(closing.until()));
        Poll::Pending
    }

    /// Whether the client has all that it will get, and nobody hears it any more.
    fn is_left(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.load(Ordering::Relaxed)) && self.flows[1].has_ended()
    }

    fn replan(&mut self, now: Time) {
        let (version, plan) = self.shared.policy.plan();
        self.version = version;
        for flow in &mut self.flows {
            flow.replan(&plan, &self.shared, now);
        }
        if self.flows.iter().all(|flow| !flow.is_staged()) {
            self.shared.set_held(0);
        }
    }

    fn finish(mut self, reset: bool) {
        self.shared.set_held(0);
        if reset {
            self.shared.set_state(State::Closing);
            for flow in &mut self.flows {
                flow.forget();
            }
            for peer in self.peers {
                peer.reset();
            }
        }
    }
}

/// The reason when the source of the flow `side` is gone.
fn reset_by(side: usize) -> Reason {
    if side == 0 { Reason::ClientReset } else { Reason::UpstreamReset }
}

/// Lets the other tasks and the I/O driver have a turn before this one goes on.
/// A plain wake would put it back into the queue, ahead of all new I/O.
fn yield_to_others(cx: &mut Context<'_>) {
    let yielding = pin!(tokio::task::yield_now());
    let _ = yielding.poll(cx);
}
