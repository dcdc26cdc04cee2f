use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, Rate};
use crate::{Cx, Departure, Frame, Held, Out, Reschedule, Time, Toxic};

/// Paces the stream at `rate`.
///
/// Bytes leave in pieces of at most 5 ms worth, each when its last byte would
/// be through a link of that rate; a link that was idle saves up nothing but
/// `burst`. Some 20 ms worth (at least 4 KiB) are read ahead, then the sender
/// has to wait. A rate of 0 stalls without losing a byte until the rate is
/// raised or the toxic removed. Every connection has a link of its own unless
/// they are told to share one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bandwidth {
    /// How fast; 0 stalls.
    pub rate: Rate,
    /// How much may pass at once after a pause, beyond the rate.
    pub burst: ByteSize,
    /// One link for all connections of the proxy, which take turns on it piece
    /// by piece, instead of a link for each.
    pub shared: bool,
}

/// Lumps stay well below 10 ms.
const PIECE_S: f64 = 0.005;
/// Larger pieces would be cut by the sockets anyway.
const LARGEST_PIECE: f64 = 256.0 * 1024.0;
/// A link must not run dry while a late timer or reader comes round.
const AHEAD_S: f64 = 0.02;
const LEAST_AHEAD: f64 = 4096.0;
const MOST_AHEAD: f64 = 4.0 * 1024.0 * 1024.0;

/// A link as the moment at which it has carried all it was given: the virtual
/// clock of the generic cell rate algorithm (ITU-T I.371), kept as a count of
/// bytes since it was last idle so that no rounding adds up.
#[derive(Default)]
struct Link {
    busy_since: Time,
    bytes: f64,
}

impl Link {
    /// Gives the link `bytes` and says when they are through.
    fn take(&mut self, now: Time, bytes: f64, rate: Rate, burst: f64) -> Time {
        if self.busy_since + rate.time_for(self.bytes) <= now {
            *self = Self { busy_since: now, bytes: 0.0 };
        }
        self.bytes += bytes;
        self.busy_since + rate.time_for((self.bytes - burst).max(0.0))
    }
}

#[derive(Default)]
struct SharedLink(Mutex<Link>);

#[derive(Default)]
pub struct State {
    link: Link,
    /// The piece at the head of the queue: its length, and when it is through.
    piece: Option<(usize, Time)>,
}

impl Toxic for Bandwidth {
    const KIND: &'static str = "bandwidth";
    const CLASSIC: Option<&'static [&'static str]> = Some(&["rate"]);

    type State = State;

    fn hold_limit(&self) -> usize {
        (self.rate.bytes_per_s() * AHEAD_S).clamp(LEAST_AHEAD, MOST_AHEAD) as usize
    }

    fn on_start(&self, state: &mut State, _: &Cx<'_>, _: &mut Out<'_>) {
        *state = State::default();
    }

    fn on_frame(&self, _: &mut State, _: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        out.send(frame);
    }

    fn on_due(&self, state: &mut State, cx: &Cx<'_>, held: &Held) -> Departure {
        let Some((len, through)) = self.piece(state, cx, held) else {
            return Departure::Wait(Time::NEVER);
        };
        if cx.now < through {
            return Departure::Wait(through);
        }
        state.piece = None;
        if len < held.len() { Departure::Part(len) } else { Departure::Whole }
    }

    fn on_update(&self, state: &mut State, cx: &Cx<'_>, held: &mut Reschedule<'_>) {
        // What the old rate promised for later is given anew from now; the
        // piece at the head keeps its time if that was earlier.
        let kept = state.piece.filter(|(len, through)| *through <= cx.now + self.rate.time_for(*len as f64));
        if kept.is_none() {
            state.piece = None;
            self.link(state, cx, |link| *link = Link { busy_since: cx.now, bytes: 0.0 });
        }
        held.bring_forward(|_| cx.now);
    }
}

impl Bandwidth {
    /// The piece at the head of the queue and when it is through; none at rate 0.
    fn piece(&self, state: &mut State, cx: &Cx<'_>, held: &Held) -> Option<(usize, Time)> {
        if state.piece.is_none() && self.rate.bytes_per_s() > 0.0 {
            let most = (self.rate.bytes_per_s() * PIECE_S).clamp(1.0, LARGEST_PIECE);
            let len = held.len().min(most as usize);
            let through =
                self.link(state, cx, |link| link.take(cx.now, len as f64, self.rate, self.burst.0 as f64));
            state.piece = Some((len, through));
        }
        state.piece
    }

    fn link<R>(&self, state: &mut State, cx: &Cx<'_>, act: impl FnOnce(&mut Link) -> R) -> R {
        match cx.shared.get::<SharedLink>().filter(|_| self.shared) {
            // A link is valid whatever a panicking thread did to it.
            Some(shared) => act(&mut shared.0.lock().unwrap_or_else(PoisonError::into_inner)),
            None => act(&mut state.link),
        }
    }
}
