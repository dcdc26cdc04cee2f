//! What a toxic is: settings plus state, one frame in, some frames out.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{End, Frame, Invalid, Seed, Time};

/// A fault of a stream.
///
/// The implementing type is the toxic's settings: its fields are the
/// attributes, its doc comment is its documentation, its `Default` is what an
/// absent attribute means. It decides and never waits: what leaves later is
/// handed over with its time and lies in the stage's queue meanwhile.
///
/// Draws must come from [`Cx::seed`] and a stream offset (or a cell of offsets),
/// so that the same seed gives the same decisions wherever reads end.
pub trait Toxic: Serialize + DeserializeOwned + JsonSchema + Default + Send + Sync + 'static {
    /// The `type` of the toxic on the wire.
    const KIND: &'static str;
    /// For kinds that Toxiproxy has: the attributes its routes show.
    const CLASSIC: Option<&'static [&'static str]> = None;
    /// What may become of the bytes; the conformance suite holds toxics to it.
    const CHANGES: Changes = Changes::Timing;
    /// Whether one toxic acts on both directions, whatever its `stream`.
    const BOTH: bool = false;
    /// Whether every frame is to leave in a write of its own.
    const SEPARATE_WRITES: bool = false;

    /// What a connection remembers, per direction.
    type State: Default + Send + 'static;

    /// Refuses settings that types alone allow.
    ///
    /// # Errors
    /// The first field that cannot be what it is.
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// How many bytes the stage may hold before reading stops.
    fn hold_limit(&self) -> usize {
        usize::MAX
    }

    /// The toxic took hold of the connection: before its first byte, or later
    /// if it was added to a live one or its window opened.
    fn on_start(&self, state: &mut Self::State, cx: &Cx<'_>, out: &mut Out<'_>) {
        let _ = (state, cx, out);
    }

    /// A frame arrived.
    fn on_frame(&self, state: &mut Self::State, cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>);

    /// The moment asked for by [`Out::wake_at`] has come.
    fn on_timer(&self, state: &mut Self::State, cx: &Cx<'_>, out: &mut Out<'_>) {
        let _ = (state, cx, out);
    }

    /// Data at the head of the stage's queue is due; `cx.offset` is that of its
    /// first byte. A toxic that paces says here how much of it leaves: so a
    /// frame is cut as it goes, not into a thousand pieces that wait.
    fn on_due(&self, state: &mut Self::State, cx: &Cx<'_>, held: &Held) -> Departure {
        let _ = (state, cx, held);
        Departure::Whole
    }

    /// The settings have just become `self`, and the toxic has hold of the
    /// connection. What is held may leave earlier than planned, never later: a
    /// later time is ignored.
    fn on_update(&self, state: &mut Self::State, cx: &Cx<'_>, held: &mut Reschedule<'_>) {
        let _ = (state, cx, held);
    }

    /// The toxic lets go of a live connection (removed, or its window closed).
    /// What it holds is handed onward right after.
    fn on_stop(&self, state: &mut Self::State, cx: &Cx<'_>, out: &mut Out<'_>) {
        let _ = (state, cx, out);
    }
}

/// What a toxic may do to the bytes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Every byte arrives unchanged and in order.
    Timing,
    /// Every byte arrives, some have another value.
    Content,
    /// Bytes may be dropped (and are counted as dropped).
    Loses,
}

/// How much of the data that is due leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// All of it.
    Whole,
    /// So many of its bytes (at least one); the rest is asked about again.
    Part(usize),
    /// Nothing before that moment.
    Wait(Time),
}

/// What a toxic is told with each call.
pub struct Cx<'a> {
    /// Now. Within a chain it is the exact moment at which the frame left the
    /// stage before, so that lateness does not add up.
    pub now: Time,
    /// Bytes of this direction that came to the stage before this frame.
    pub offset: u64,
    /// The seed of this toxic on this connection and direction.
    pub seed: &'a Seed,
    /// What all connections of the proxy share for this toxic.
    pub shared: &'a Shared,
}

/// State that one toxic shares between connections; it survives updates.
#[derive(Default)]
pub struct Shared(OnceLock<Box<dyn Any + Send + Sync>>);

impl Shared {
    /// The shared value, made on first use. A toxic always asks for one type;
    /// asking for another yields `None`.
    pub fn get<T: Default + Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.get_or_init(|| Box::<T>::default()).downcast_ref()
    }
}

/// A frame that waits in a stage.
#[derive(Debug)]
pub struct Held {
    /// When it came.
    pub arrived: Time,
    /// The stage's offset of its first byte.
    pub offset: u64,
    /// When it leaves, unless something before it leaves later.
    pub due: Time,
    pub(crate) frame: Frame,
}

impl Held {
    /// Bytes in the frame.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// Whether it carries no bytes: it is an end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frame.is_empty()
    }
}

/// Where a stage's frames wait.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) queue: VecDeque<Held>,
    pub(crate) bytes: usize,
    pub(crate) wake: Option<Time>,
    pub(crate) dropped: u64,
    pub(crate) ended: Option<End>,
    pub(crate) acted: bool,
}

impl Outbox {
    pub(crate) fn put(&mut self, arrived: Time, offset: u64, due: Time, frame: Frame) {
        match &frame {
            Frame::Data(data) if data.is_empty() => return,
            Frame::Data(data) if self.ended.is_some() => {
                self.dropped += data.len() as u64;
                return;
            }
            Frame::End(end) if self.ended.is_some_and(|ended| rank(ended) >= rank(*end)) => return,
            Frame::End(end) => self.ended = Some(*end),
            Frame::Data(data) => self.bytes += data.len(),
        }
        self.queue.push_back(Held { arrived, offset, due, frame });
    }

    pub(crate) fn pop(&mut self) -> Option<Held> {
        let held = self.queue.pop_front()?;
        self.bytes -= held.len();
        Some(held)
    }

    /// Takes the first `count` bytes off the frame at the head.
    pub(crate) fn pop_part(&mut self, count: usize) -> Option<Held> {
        let head = self.queue.front_mut()?;
        let (arrived, offset, due) = (head.arrived, head.offset, head.due);
        match &mut head.frame {
            Frame::Data(data) if count.max(1) < data.len() => {
                let part = data.split_to(count.max(1));
                head.offset += part.len() as u64;
                self.bytes -= part.len();
                Some(Held { arrived, offset, due, frame: Frame::Data(part) })
            }
            _ => self.pop(),
        }
    }
}

/// A stronger end may follow a weaker one: a half-closed stream can be reset.
pub(crate) fn rank(end: End) -> u8 {
    match end {
        End::Fin => 0,
        End::Close => 1,
        End::Reset => 2,
    }
}

/// How a toxic says what leaves, and when.
pub struct Out<'a> {
    pub(crate) now: Time,
    pub(crate) offset: u64,
    pub(crate) outbox: &'a mut Outbox,
}

impl Out<'_> {
    /// Sends now, behind what is held.
    pub fn send(&mut self, frame: Frame) {
        self.send_at(self.now, frame);
    }

    /// Sends at `due`, behind what is held. Data counts as the next bytes of
    /// the frame at hand: cut frames are sent in their order.
    pub fn send_at(&mut self, due: Time, frame: Frame) {
        let len = frame.len() as u64;
        self.outbox.put(self.now, self.offset, due.max(self.now), frame);
        self.offset += len;
    }

    /// Drops data, and says so: what comes in goes out, is held or is declared.
    pub fn discard(&mut self, frame: &Frame) {
        self.outbox.dropped += frame.len() as u64;
        self.outbox.acted = true;
        self.offset += frame.len() as u64;
    }

    /// Drops what is held, and says so, and ends the stream with `end` now.
    pub fn cut_off(&mut self, end: End) {
        self.outbox.dropped += self.outbox.bytes as u64;
        self.outbox.bytes = 0;
        self.outbox.queue.clear();
        self.outbox.ended = None;
        self.send(Frame::End(end));
    }

    /// Calls `on_timer` at `due`. There is one timer; the last call counts.
    pub fn wake_at(&mut self, due: Time) {
        // Never at the same moment again, or time would stand still.
        self.outbox.wake = Some(due.max(Time::from_nanos(self.now.as_nanos().saturating_add(1))));
    }

    /// Says that the toxic acted, where delays, cuts, drops and ends do not
    /// show it already.
    pub fn acted(&mut self) {
        self.outbox.acted = true;
    }
}

/// What a stage holds when its settings change, oldest first.
pub struct Reschedule<'a> {
    pub(crate) now: Time,
    pub(crate) outbox: &'a mut Outbox,
}

impl Reschedule<'_> {
    /// Gives every held frame the earlier of its old time and what `plan` says.
    pub fn bring_forward(&mut self, mut plan: impl FnMut(&Held) -> Time) {
        for held in &mut self.outbox.queue {
            held.due = held.due.min(plan(held).max(self.now));
        }
    }

    /// Calls `on_timer` at `due` instead of at its old time; a moment that has
    /// passed is now.
    pub fn wake_at(&mut self, due: Time) {
        self.outbox.wake = Some(due.max(self.now));
    }

    /// Does not call `on_timer` any more.
    pub fn cancel_wake(&mut self) {
        self.outbox.wake = None;
    }
}
