use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http_body::Frame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::http::body::Step;
use crate::http::events::{Framing, Scanner};
use crate::http::{Answer, Body, Cx, Fault, HttpToxic, Next, Request};
use crate::units::Millis;
use crate::{Invalid, Seed};

/// Stalls, thins out or slows down answers that come event by event.
///
/// An event ends at a blank line in `text/event-stream`, at a newline in lines of JSON
/// (`application/x-ndjson` and its like); of anything else, and of what is compressed,
/// each chunk is one. An event leaves when it is complete; one longer than 64 KiB is
/// passed on as it comes. Removing the toxic lets go of what it holds, and the rest
/// passes untouched.
///
/// `stall` sends nothing more; what came meanwhile follows when the toxic is removed.
/// `close` and `reset` end the answer before it is complete: over HTTP/1 `close` closes the
/// connection (FIN) and `reset` resets it (RST); over HTTP/2 the connection stays, and both
/// are an RST_STREAM with INTERNAL_ERROR, for a stream has no other end that is not a good
/// one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpStream {
    /// What becomes of the answer after `after` events.
    pub then: Then,
    /// Events that are let through before `then`.
    #[schemars(range(min = 0))]
    pub after: u64,
    /// Share of events that are left out, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub drop: f64,
    /// How long each event waits before it leaves.
    pub delay: Millis,
    /// How far the delay varies, in the shape of `distribution`; it never falls below 0.
    #[schemars(extend("x-varies" = "delay"))]
    pub jitter: Millis,
    /// The shape of the jitter, as tc-netem means it; with lognormal `delay` is the median, and
    /// `jitter` is how much more the 99th percentile has.
    pub distribution: Distribution,
}

/// What becomes of an answer after some events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Then {
    /// It goes on.
    #[default]
    Pass,
    /// Nothing more comes; what came meanwhile follows when the toxic is removed.
    Stall,
    /// It breaks off: the connection is closed, the HTTP/2 stream reset.
    Close,
    /// RST: of the socket on HTTP/1, of the stream with INTERNAL_ERROR on HTTP/2.
    Reset,
}

/// RFC 9113, section 7.
const INTERNAL_ERROR: u32 = 2;

impl HttpToxic for HttpStream {
    const KIND: &'static str = "http_stream";

    fn validate(&self) -> Result<(), Invalid> {
        if self.after > 0 && self.then == Then::Pass {
            let message = "says after how many events `then` comes: give `then` as stall, close or reset";
            return Err(Invalid::new("after", message));
        }
        Invalid::unless_share("drop", self.drop)?;
        self.distribution.check("delay", self.delay, self.jitter)
    }

    fn passes_on(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let mut response = next.run(request).await?;
        if http_body::Body::is_end_stream(response.body()) {
            return Ok(response);
        }
        if self.drop > 0.0 {
            // How long it becomes is not known yet.
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        let framing = Framing::of(response.headers());
        Ok(response.map(|body| body.through(|body| Events::new(self, cx, body, framing), Events::step)))
    }
}

/// A longer event is not kept until it is complete: what is held for one answer stays
/// small, and no service sends longer ones on purpose.
const LONGEST: usize = 64 * 1024;

/// A body, event by event.
struct Events {
    toxic: Arc<HttpStream>,
    cx: Cx,
    delays: Seed,
    drops: Seed,
    body: Body,
    framing: Framing,
    scanner: Scanner,
    /// What came and has not been looked at.
    fresh: Bytes,
    /// The event at hand, as far as it came.
    event: BytesMut,
    /// The event at hand is too long and passes as it comes.
    long: bool,
    /// Bytes before the event at hand.
    offset: u64,
    passed: u64,
    /// `then` was done.
    done: bool,
    /// What ends the body, kept until what came before it has left.
    last: Option<Result<Frame<Bytes>, Fault>>,
    ended: bool,
}

impl Events {
    fn new(toxic: Arc<HttpStream>, cx: Cx, body: Body, framing: Framing) -> Self {
        Self {
            delays: cx.seed("delay"),
            drops: cx.seed("drop"),
            toxic,
            cx,
            body,
            framing,
            scanner: Scanner::default(),
            fresh: Bytes::new(),
            event: BytesMut::new(),
            long: false,
            offset: 0,
            passed: 0,
            done: false,
            last: None,
            ended: false,
        }
    }

    async fn step(mut self) -> Step<Self> {
        loop {
            if let Some(fault) = self.then().await {
                return Some((Err(fault), self));
            }
            let Some((data, whole)) = self.piece().await else {
                return self.last.take().map(|last| (last, self));
            };
            let (offset, rest_of_long) = (self.offset, self.long);
            self.long = !whole;
            self.offset += data.len() as u64;
            // What is too long is let through, as one event.
            if rest_of_long {
                self.passed += u64::from(whole);
                return Some((Ok(Frame::data(data)), self));
            }
            if whole && self.drops.at(offset).chance(self.toxic.drop) && !self.cx.is_over() {
                self.cx.acted();
                continue;
            }
            self.delay(offset).await;
            self.passed += u64::from(whole);
            return Some((Ok(Frame::data(data)), self));
        }
    }

    /// Does what is to become of the answer, if so many events have passed.
    async fn then(&mut self) -> Option<Fault> {
        if self.done || self.toxic.then == Then::Pass || self.passed < self.toxic.after {
            return None;
        }
        self.done = true;
        if self.cx.is_over() {
            return None;
        }
        self.cx.acted();
        match self.toxic.then {
            Then::Pass => None,
            Then::Stall => {
                self.cx.wait_for_end().await;
                None
            }
            Then::Close => Some(Fault::Close),
            Then::Reset => Some(Fault::Reset(INTERNAL_ERROR)),
        }
    }

    async fn delay(&mut self, offset: u64) {
        let (delay, jitter) = (self.toxic.delay.get(), self.toxic.jitter.get());
        let drawn = || self.delays.at(offset).unit();
        let delay =
            self.toxic.distribution.delay(delay, jitter, if jitter.is_zero() { 0.0 } else { drawn() });
        if !delay.is_zero() && !self.cx.is_over() {
            self.cx.acted();
            self.cx.wait(delay).await;
        }
    }

    /// The next event, or a part of one that is too long; whether it is complete.
    async fn piece(&mut self) -> Option<(Bytes, bool)> {
        loop {
            if !self.fresh.is_empty() {
                let end = self.scanner.end(self.framing, &self.fresh);
                let part = self.fresh.split_to(end.unwrap_or(self.fresh.len()));
                let whole = end.is_some();
                if self.event.is_empty() && (whole || self.long) {
                    return Some((part, whole));
                }
                self.event.extend_from_slice(&part);
                if whole || self.event.len() > LONGEST {
                    return Some((self.event.split().freeze(), whole));
                }
            }
            if self.ended {
                // What was not complete at the end is the last event.
                return (!self.event.is_empty()).then(|| (self.event.split().freeze(), true));
            }
            match self.body.next().await.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.fresh = data,
                Some(Ok(Err(trailers))) => (self.last, self.ended) = (Some(Ok(trailers)), true),
                Some(Err(fault)) => (self.last, self.ended) = (Some(Err(fault)), true),
                None => self.ended = true,
            }
        }
    }
}
