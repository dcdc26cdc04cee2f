use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{self, Either};
use http::StatusCode;
use http_body::Frame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::http::body::Step;
use crate::http::frames::{self, CONTINUATION, Frames, Head, LONGEST_CONTROL, Part};
use crate::http::held::Held;
use crate::http::tunnel::Tunnel;
use crate::http::values::Side;
use crate::http::{Answer, Body, Current, Cx, Fault, HttpToxic, Next, Request};
use crate::units::Millis;
use crate::{Invalid, Seed};

/// Delays, drops, repeats and corrupts the messages of WebSockets, or closes them.
///
/// It is meant for requests that ask for a WebSocket, and acts on those whose upstream
/// agreed (101); upgrades to anything else pass untouched, and so do WebSockets that were
/// open before it was added. Each direction draws for each of its messages by the
/// message's number; a message meets its fate with all its frames, and what came after it
/// does not overtake it. Pings, pongs and closes pass in their place unless `control` is
/// on; each is then drawn for like a message. Payloads are bytes: of what is compressed
/// (`permessage-deflate`) bits of the compressed form are flipped, and a message that was
/// dropped or repeated leaves the ones after it unreadable if both sides keep their
/// context between messages.
///
/// An update holds at once, also for what is held. When the toxic is removed, what is held
/// leaves at once and the rest passes untouched; only a message whose beginning was
/// dropped is dropped to its end.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Websocket {
    /// Whose messages.
    pub side: Sides,
    /// Messages of each direction that pass before anything happens.
    #[schemars(range(min = 0))]
    pub after: u64,
    /// Whether pings, pongs and closes are meant too.
    pub control: bool,
    /// How long a message waits before it leaves; up to 1 MiB waits for one direction, and
    /// what comes then waits in the sockets.
    pub delay: Millis,
    /// How far the delay varies, in the shape of `distribution`; it never falls below 0.
    pub jitter: Millis,
    /// The shape of the jitter, as tc-netem means it.
    pub distribution: Distribution,
    /// Share of messages that wait, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub delay_share: f64,
    /// Share of messages that never arrive, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub drop: f64,
    /// Share of messages that arrive twice, 0 to 1. One longer than 1 MiB arrives once.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub duplicate: f64,
    /// Share of messages of which one bit is flipped, 0 to 1: of the payload of the first
    /// frame that has any. Text may be none any more then, which ends the connection with 1007.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub corrupt: f64,
    /// The code of a close that is put in after `after` messages of a direction, as if it
    /// came from its sender; what the sender has to say after that is dropped. The
    /// receiver's own close, in answer to it, passes to the sender. 0 closes nothing.
    #[schemars(range(min = 0, max = 4999))]
    pub close: u16,
    /// What the close gives as its reason, at most 123 bytes.
    #[schemars(length(max = 123))]
    pub reason: String,
}

/// Which directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Sides {
    /// What the client sends.
    Request,
    /// What the upstream sends.
    Response,
    /// Both.
    #[default]
    Both,
}

impl Default for Websocket {
    fn default() -> Self {
        Self {
            side: Sides::Both,
            after: 0,
            control: false,
            delay: Millis::ZERO,
            jitter: Millis::ZERO,
            distribution: Distribution::default(),
            delay_share: 1.0,
            drop: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            close: 0,
            reason: String::new(),
        }
    }
}

/// Of one direction: enough for what a link has on its way, and open WebSockets must not
/// fill the memory. Also the longest message that is kept to be repeated.
const LIMIT: usize = 1 << 20;

impl HttpToxic for Websocket {
    const KIND: &'static str = "websocket";

    fn validate(&self) -> Result<(), Invalid> {
        let shares = [
            ("delay_share", self.delay_share),
            ("drop", self.drop),
            ("duplicate", self.duplicate),
            ("corrupt", self.corrupt),
        ];
        for (field, share) in shares {
            Invalid::unless_share(field, share)?;
        }
        // RFC 6455, section 7.4, and the registry it made.
        if !matches!(self.close, 0 | 1000..=1003 | 1007..=1014 | 3000..=4999) {
            let message = "is no code that a close may carry: give 1000 to 1003, 1007 to 1014, 3000 to 4999, \
                           or 0 to close nothing";
            return Err(Invalid::new("close", message));
        }
        if self.reason.len() > LONGEST_CONTROL - 2 {
            return Err(Invalid::new("reason", "is longer than the 123 bytes that a close has room for"));
        }
        if self.close == 0 && !self.reason.is_empty() {
            return Err(Invalid::new("reason", "belongs to a close: give `close` a code, such as 1011"));
        }
        Ok(())
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let answer = next.run(request).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(tunnel) = Tunnel::of(&answer, "websocket")
        {
            for side in [Side::Request, Side::Response] {
                let cx = cx.clone();
                tunnel.add(side, move |bytes| Body::driven(Flow::new(cx, side, bytes), Flow::step));
            }
        }
        Ok(answer)
    }
}

impl Websocket {
    fn is_for(&self, side: Side) -> bool {
        match self.side {
            Sides::Both => true,
            Sides::Request => side == Side::Request,
            Sides::Response => side == Side::Response,
        }
    }

    fn delay(&self, quantile: f64) -> Duration {
        self.distribution.delay(self.delay.get(), self.jitter.get(), quantile)
    }
}

/// What becomes of a message, or of a control frame.
#[derive(Default)]
struct Fate {
    dropped: bool,
    /// What the delay is drawn by, if there is one.
    delayed: Option<f64>,
    /// What has passed of it, to be repeated.
    copy: Option<BytesMut>,
    /// Where, as a share of the payload, and which bit is to be flipped.
    flip: Option<(f64, u8)>,
}

/// One direction of a WebSocket.
struct Flow {
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
    known: Option<Arc<Websocket>>,
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

impl Flow {
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
            let current = self.cx.current::<Websocket>();
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
    async fn wait(&mut self, current: Option<Current<Websocket>>) {
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
    fn follow(&mut self, toxic: Option<&Arc<Websocket>>) {
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
    fn close(&mut self, toxic: &Websocket) -> bool {
        if toxic.close == 0 || self.closed || self.ended < toxic.after || !self.frames.is_between() {
            return false;
        }
        self.cx.acted();
        (self.closed, self.muted) = (true, true);
        let mask = (self.side == Side::Request).then(|| self.mask.at(0).below(1 << 32) as u32);
        let frame = frames::close(toxic.close, &toxic.reason, mask.map(u32::to_be_bytes));
        self.held.push(self.cx.now(), None, frame);
        true
    }

    /// Takes the next part of what came.
    fn part(&mut self, toxic: Option<&Websocket>) {
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
    fn fate(&mut self, toxic: Option<&Websocket>, control: bool) -> Fate {
        let number = self.begun[usize::from(control)];
        self.begun[usize::from(control)] += 1;
        let meant = |toxic: &&Websocket| {
            if control { toxic.control && self.ended >= toxic.after } else { number >= toxic.after }
        };
        let Some(toxic) = toxic.filter(meant) else { return Fate::default() };
        let mut draws = if control { &self.controls } else { &self.messages }.at(number);
        let [dropped, copied, flipped, delayed] =
            [toxic.drop, toxic.duplicate, toxic.corrupt, toxic.delay_share].map(|share| draws.chance(share));
        let (quantile, place, bit) = (draws.unit(), draws.unit(), draws.below(8) as u8);
        Fate {
            dropped,
            delayed: delayed.then_some(quantile),
            copy: copied.then(BytesMut::new),
            flip: flipped.then_some((place, bit)),
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
    fn pass(&mut self, toxic: Option<&Websocket>, head: Head, data: Bytes) {
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
