//! A body at a rate.

use bytes::Bytes;
use http_body::Frame;

use super::body::Step;
use super::{Body, Cx};
use crate::Time;
use crate::units::Rate;

/// Lumps stay well below 10 ms.
const PIECE_S: f64 = 0.005;
/// Larger pieces would be cut by the sockets anyway.
const LARGEST_PIECE: f64 = 64.0 * 1024.0;

struct Paced {
    cx: Cx,
    body: Body,
    rate: Rate,
    /// What is left of the frame at hand.
    rest: Bytes,
    /// Since when the link has been busy, and how much it carried since: a count, so
    /// that no rounding adds up.
    busy_since: Time,
    carried: f64,
}

/// The body as a link of that rate carries it: in pieces, each when its last byte would
/// be through. When the toxic is taken back the rest comes at once. `rate` is above 0.
pub(crate) fn paced(cx: Cx, body: Body, rate: Rate) -> Body {
    if http_body::Body::is_end_stream(&body) {
        return body;
    }
    let paced = Paced { cx, body, rate, rest: Bytes::new(), busy_since: Time::ZERO, carried: 0.0 };
    Body::driven(paced, Paced::step)
}

impl Paced {
    async fn step(mut self) -> Step<Self> {
        while self.rest.is_empty() {
            match self.body.next().await?.map(Frame::into_data) {
                Ok(Ok(data)) => self.rest = data,
                Ok(Err(trailers)) => return Some((Ok(trailers), self)),
                Err(fault) => return Some((Err(fault), self)),
            }
        }
        let most = (self.rate.bytes_per_s() * PIECE_S).clamp(1.0, LARGEST_PIECE);
        let piece = self.rest.split_to(self.rest.len().min(most as usize));
        let now = self.cx.now();
        if self.busy_since + self.rate.time_for(self.carried) <= now {
            (self.busy_since, self.carried) = (now, 0.0);
        }
        self.carried += piece.len() as f64;
        self.cx.wait_until(self.busy_since + self.rate.time_for(self.carried)).await;
        Some((Ok(Frame::data(piece)), self))
    }
}
