use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Time;
use crate::http::values::Side;
use crate::http::{Answer, Body, Cx, HttpToxic, Next, Request};
use crate::units::Rate;

/// Paces the body of each request or answer at `rate`.
///
/// Every body has a link of its own. It passes in pieces of at most 10 ms worth and at
/// most 16 KiB, each when its last byte would be through such a link; a pause saves up
/// no more than 10 ms worth. A rate of 0 stalls. When the toxic is removed, what is left
/// of the body passes at once; another rate holds for the requests that come after.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpThrottle {
    /// How fast; 0 stalls.
    pub rate: Rate,
    /// Whose body.
    pub side: Side,
}

impl HttpToxic for HttpThrottle {
    const KIND: &'static str = "http_throttle";

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        match self.side {
            Side::Request => next.run(request.map(|body| self.pace(cx, body))).await,
            Side::Response => Ok(next.run(request).await?.map(|body| self.pace(cx, body))),
        }
    }
}

impl HttpThrottle {
    fn pace(&self, cx: Cx, body: Body) -> Body {
        // What has ended has nothing to pace, and shall still say that it has.
        if http_body::Body::is_end_stream(&body) {
            return body;
        }
        let link = Link { rate: self.rate, since: cx.now(), bytes: 0, lifted: false };
        Body::driven((cx, link, body, Bytes::new()), |(cx, mut link, mut body, mut rest)| async move {
            if rest.is_empty() {
                match body.next().await?.map(Frame::into_data) {
                    Ok(Ok(data)) => rest = data,
                    Ok(Err(trailers)) => return Some((Ok(trailers), (cx, link, body, rest))),
                    Err(fault) => return Some((Err(fault), (cx, link, body, rest))),
                }
            }
            let piece = link.piece(&cx, &mut rest).await;
            Some((Ok(Frame::data(piece)), (cx, link, body, rest)))
        })
    }
}

/// The longest piece: no gap is longer, and no pause saves up more.
const PIECE: Duration = Duration::from_millis(10);
/// Longer pieces would be cut by the sockets anyway.
const PIECE_BYTES: f64 = 16.0 * 1024.0;

/// A link as the bytes it has carried since a moment: each deadline is reckoned from
/// there, so that neither rounding nor a late timer adds up.
struct Link {
    rate: Rate,
    since: Time,
    bytes: u64,
    /// The toxic is gone.
    lifted: bool,
}

impl Link {
    /// The first piece of `rest`, once it is through.
    async fn piece(&mut self, cx: &Cx, rest: &mut Bytes) -> Bytes {
        if self.lifted || rest.is_empty() {
            return std::mem::take(rest);
        }
        cx.acted();
        let rate = self.rate.bytes_per_s();
        if rate <= 0.0 {
            cx.wait_for_end().await;
            self.lifted = true;
            return std::mem::take(rest);
        }
        let now = cx.now();
        if self.due() + PIECE < now {
            (self.since, self.bytes) = (now, 0);
        }
        let most = (rate * PIECE.as_secs_f64()).clamp(1.0, PIECE_BYTES) as usize;
        let length = most.min(rest.len());
        self.bytes += length as u64;
        let due = self.due();
        if now < due {
            cx.wait_until(due).await;
            self.lifted = cx.now() < due;
        }
        rest.split_to(if self.lifted { rest.len() } else { length })
    }

    /// When all that it was given is through.
    fn due(&self) -> Time {
        self.since + self.rate.time_for(self.bytes as f64)
    }
}
