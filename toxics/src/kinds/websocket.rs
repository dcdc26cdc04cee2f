use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::distribution::Distribution;
use crate::http::frames::LONGEST_CONTROL;
use crate::http::messages::{Disturb, Fate, Unit, disturbed};
use crate::http::tunnel::Tunnel;
use crate::http::values::Side;
use crate::http::{Answer, Cx, HttpToxic, Match, Next, Request};
use crate::seed::Draws;
use crate::units::Millis;

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
    /// How long a message waits before it leaves; up to 1 MiB waits for one direction, and
    /// what comes then waits in the sockets.
    pub delay: Millis,
    /// How far the delay varies, in the shape of `distribution`; it never falls below 0.
    #[schemars(extend("x-varies" = "delay"))]
    pub jitter: Millis,
    /// The shape of the jitter, as tc-netem means it; with lognormal `delay` is the median, and
    /// `jitter` is how much more the 99th percentile has.
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
    /// Messages of each direction that pass before anything happens.
    #[schemars(range(min = 0))]
    pub after: u64,
    /// Whether pings, pongs and closes are meant too.
    pub control: bool,
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
            delay: Millis::ZERO,
            jitter: Millis::ZERO,
            distribution: Distribution::default(),
            delay_share: 1.0,
            drop: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            close: 0,
            reason: String::new(),
            after: 0,
            control: false,
        }
    }
}

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
        self.distribution.check("delay", self.delay, self.jitter)?;
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

    fn check_match(&self, matcher: &Match) -> Result<(), Invalid> {
        if matcher.answer(StatusCode::SWITCHING_PROTOCOLS) {
            return Ok(());
        }
        Err(Invalid::new("status", "is 101 where a WebSocket opens, and nothing else is meant: leave it out"))
    }

    fn passes_on(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let answer = next.run(request).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(tunnel) = Tunnel::of(&answer, "websocket")
        {
            for side in [Side::Request, Side::Response] {
                let cx = cx.clone();
                tunnel.add(side, move |bytes| disturbed::<Self>(cx, side, bytes));
            }
        }
        Ok(answer)
    }
}

impl Disturb for Websocket {
    fn is_for(&self, side: Side) -> bool {
        match self.side {
            Sides::Both => true,
            Sides::Request => side == Side::Request,
            Sides::Response => side == Side::Response,
        }
    }

    fn fate(&self, unit: Unit, mut draws: Draws) -> Fate {
        let meant = match unit {
            Unit::Message { before } => before >= self.after,
            Unit::Control { before } => self.control && before >= self.after,
        };
        if !meant {
            return Fate::default();
        }
        let [dropped, copied, flipped, delayed] =
            [self.drop, self.duplicate, self.corrupt, self.delay_share].map(|share| draws.chance(share));
        let (quantile, place, bit) = (draws.unit(), draws.unit(), draws.below(8) as u8);
        Fate {
            dropped,
            delayed: delayed.then_some(quantile),
            copy: copied.then(BytesMut::new),
            flip: flipped.then_some((place, bit)),
        }
    }

    fn delay(&self, quantile: f64) -> Duration {
        self.distribution.delay(self.delay.get(), self.jitter.get(), quantile)
    }

    fn close(&self, messages: u64) -> Option<(u16, &str)> {
        (self.close != 0 && messages >= self.after).then_some((self.close, &self.reason))
    }
}
