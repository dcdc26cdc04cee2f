//! The messages of a WebSocket, and what may become of them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{self, Either};
use http_body::Frame;

use super::body::Step;
use super::frames::{self, CONTINUATION, Frames, Head, Part};
use super::held::Held;
use super::values::Side;
use super::{Body, Current, Cx, Fault, HttpToxic};
use crate::Seed;
use crate::seed::Draws;

/// Of one direction: enough for what a link has on its way, and open WebSockets must not
/// fill the memory. Also the longest message that is kept to be repeated.
const LIMIT: usize = 1 << 20;

/// Settings that say what becomes of messages.
pub(crate) trait Disturb: HttpToxic {
    /// Whether that direction is meant.
    fn is_for(&self, side: Side) -> bool;

    /// What becomes of something that begins; the draws are its own.
    fn fate(&self, unit: Unit, draws: Draws) -> Fate;

    /// How long something waits, by what was drawn for it.
    fn delay(&self, quantile: f64) -> Duration;

    /// The code and reason of a close that is to come behind so many messages.
    fn close(&self, messages: u64) -> Option<(u16, &str)>;
}

/// What something is drawn for.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// A message; how many began before it.
    Message { before: u64 },
    /// A ping, pong or close; how many messages ended before it.
    Control { before: u64 },
}

/// The bytes of one side of a WebSocket, disturbed as the settings of the toxic say.
pub(crate) fn disturbed<T: Disturb>(cx: Cx, side: Side, bytes: Body) -> Body {
    Body::driven(Flow::<T>::new(cx, side, bytes), Flow::step)
}

/// What becomes of a message, or of a control frame.
#[derive(Default)]
pub(crate) struct Fate {
    /// It does not arrive.
    pub(crate) dropped: bool,
    /// What the delay is drawn by, if there is one.
    pub(crate) delayed: Option<f64>,
    /// What has passed of it, to be repeated.
    pub(crate) copy: Option<BytesMut>,
    /// Where, as a share of the payload, and which bit is to be flipped.
    pub(crate) flip: Option<(f64, u8)>,
}

/// One direction of a WebSocket.
struct Flow<T> {
    cx: Cx,
    side: Side,
    messages: Seed,
    controls: Seed,
    mask: Seed,
    bytes: Body,
    frames: Frames,
    /// What came and has not been looked at.
    fresh: Bytes,
    held: Held,
    /// The settings that `held` was told of last.
    known: Option<Arc<T>>,
    message: Fate,
    control: Fate,
    /// The frame at hand, and how much of its payload has passed.
    frame: Option<(Head, u64)>,
    /// Messages and control frames that have begun.
    begun: [u64; 2],
    /// Messages that have ended.
    ended: u64,
    /// A close has passed.
    closed: bool,
    /// It was put in by the fault: what comes after it is nobody's.
    muted: bool,
    /// How the bytes ended, once they have.
    end: Option<Option<Fault>>,
}

impl<T: Disturb> Flow<T> {
    fn new(cx: Cx, side: Side, bytes: Body) -> Self {
        let seed = cx.seed(if side == Side::Request { "up" } else { "down" });
        Self {
            messages: seed.split("message"),
            controls: seed.split("control"),
            mask: seed.split("mask"),
            cx,
            side,
            bytes,
            frames: Frames::default(),
            fresh: Bytes::new(),
            held: Held::default(),
            known: None,
            message: Fate::default(),
            control: Fate::default(),
            frame: None,
            begun: [0; 2],
            ended: 0,
            closed: false,
            muted: false,
            end: None,
        }
    }

    async fn step(mut self) -> Step<Self> {
        loop {
            let current = self.cx.current::<T>();
            let toxic = current.as_ref().map(|current| &current.settings);
            let toxic = toxic.filter(|toxic| toxic.is_for(self.side)).cloned();
            self.follow(toxic.as_ref());
            let leaves = match &toxic {
                Some(_) => self.held.pop_due(self.cx.now()),
                None => self.held.pop(),
            };
            if let Some(data) = leaves {
                return Some((Ok(Frame::data(data)), self));
            }
            if toxic.as_ref().is_some_and(|toxic| self.close(toxic)) {
                continue;
            }
            if !self.fresh.is_empty() && self.held.bytes() < LIMIT {
                self.part(toxic.as_deref());
            } else if self.end.is_some() && self.held.due().is_none() {
                return self.end.take().flatten().map(|fault| (Err(fault), self));
            } else {
                self.wait(current).await;
            }
        }
    }

    /// Waits for more to come, for what is held, or for the toxic to change.
    async fn wait(&mut self, current: Option<Current<T>>) {
        let (due, room) = (self.held.due(), self.held.bytes() < LIMIT && self.end.is_none());
        let Some(current) = current else {
            let more = self.bytes.next().await;
            return self.came(more);
        };
        let change = self.cx.wait_or_update(&current, due);
        if !room {
            return change.await;
        }
        let more = match future::select(pin!(self.bytes.next()), pin!(change)).await {
            Either::Left((more, _)) => more,
            Either::Right(_) => return,
        };
        self.came(more);
    }

    fn came(&mut self, more: Option<Result<Frame<Bytes>, Fault>>) {
        match more.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => self.fresh = data,
            Some(Ok(Err(_))) => {}
            Some(Err(fault)) => self.end = Some(Some(fault)),
            None => self.end = Some(None),
        }
    }

    /// Lets what is held follow an update.
    fn follow(&mut self, toxic: Option<&Arc<T>>) {
        let same = match (&self.known, toxic) {
            (Some(known), Some(toxic)) => Arc::ptr_eq(known, toxic),
            (known, toxic) => known.is_none() && toxic.is_none(),
        };
        if !same {
            self.known = toxic.cloned();
            if let Some(toxic) = toxic {
                self.held.hasten(|quantile| toxic.delay(quantile));
            }
        }
    }

    /// Puts in a close, if it is time for one.
    fn close(&mut self, toxic: &T) -> bool {
        if self.closed || !self.frames.is_between() {
            return false;
        }
        let Some((code, reason)) = toxic.close(self.ended) else { return false };
        self.cx.acted();
        (self.closed, self.muted) = (true, true);
        let mask = (self.side == Side::Request).then(|| self.mask.at(0).below(1 << 32) as u32);
        let frame = frames::close(code, reason, mask.map(u32::to_be_bytes));
        self.held.push(self.cx.now(), None, frame);
        true
    }

    /// Takes the next part of what came.
    fn part(&mut self, toxic: Option<&T>) {
        match self.frames.next(&mut self.fresh) {
            None => {}
            Some(_) if self.muted => {}
            Some(Part::Opaque(data)) => self.held.push(self.cx.now(), None, data),
            Some(Part::Head(head, data)) => {
                self.frame = Some((head, 0));
                if head.is_control() {
                    self.control = self.fate(toxic, true);
                } else if head.opcode != CONTINUATION {
                    self.message = self.fate(toxic, false);
                }
                self.pass(toxic, head, data);
                if head.length == 0 {
                    self.frame_ended(head);
                }
            }
            Some(Part::Payload(data, left)) => {
                let Some((head, passed)) = self.frame else { return };
                let data = if toxic.is_some() { self.flipped(head, passed, data) } else { data };
                self.frame = Some((head, head.length - left));
                self.pass(toxic, head, data);
                if left == 0 {
                    self.frame_ended(head);
                }
            }
        }
    }

    /// Draws what becomes of what begins: by its number, whatever came before.
    fn fate(&mut self, toxic: Option<&T>, control: bool) -> Fate {
        let number = self.begun[usize::from(control)];
        self.begun[usize::from(control)] += 1;
        let Some(toxic) = toxic else { return Fate::default() };
        if control {
            toxic.fate(Unit::Control { before: self.ended }, self.controls.at(number))
        } else {
            toxic.fate(Unit::Message { before: number }, self.messages.at(number))
        }
    }

    /// Flips a bit of the payload, if it lies in this piece.
    fn flipped(&mut self, head: Head, passed: u64, data: Bytes) -> Bytes {
        let fate = if head.is_control() { &mut self.control } else { &mut self.message };
        let Some((place, bit)) = fate.flip else { return data };
        let at = (place * head.length as f64) as u64;
        let Some(at) = at.checked_sub(passed).and_then(|at| usize::try_from(at).ok()) else { return data };
        if at >= data.len() {
            return data;
        }
        fate.flip = None;
        let mut data = BytesMut::from(data);
        // Whatever the mask is: the bit comes out flipped when it is taken off.
        data[at] ^= 1 << bit;
        if !fate.dropped {
            self.cx.acted();
        }
        data.freeze()
    }

    /// Lets bytes of the frame at hand leave as its fate has it.
    fn pass(&mut self, toxic: Option<&T>, head: Head, data: Bytes) {
        let fate = if head.is_control() { &mut self.control } else { &mut self.message };
        if fate.dropped {
            self.cx.acted();
            return;
        }
        if let Some(copy) = &mut fate.copy {
            copy.extend_from_slice(&data);
            if copy.len() > LIMIT {
                fate.copy = None;
            }
        }
        let delay = toxic.zip(fate.delayed).map(|(toxic, quantile)| (quantile, toxic.delay(quantile)));
        if delay.is_some_and(|(_, delay)| !delay.is_zero()) {
            self.cx.acted();
        }
        self.held.push(self.cx.now(), delay, data);
    }

    fn frame_ended(&mut self, head: Head) {
        let control = head.is_control();
        self.closed |= head.opcode == frames::CLOSE && !self.control.dropped;
        if !control && !head.last {
            return;
        }
        self.ended += u64::from(!control);
        let fate = if control { &mut self.control } else { &mut self.message };
        let (copy, quantile) = (fate.copy.take(), fate.delayed);
        if let Some(copy) = copy.filter(|_| !fate.dropped)
            && let Some(toxic) = &self.known
        {
            self.cx.acted();
            let delay = quantile.map(|quantile| (quantile, toxic.delay(quantile)));
            self.held.push(self.cx.now(), delay, copy.freeze());
        }
    }
}
