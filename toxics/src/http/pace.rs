//! A body at a rate.

use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;

use super::body::Step;
use super::{Body, Cx, HttpToxic};
use crate::Time;
use crate::units::Rate;

/// The longest piece: no gap is longer, and no pause saves up more.
const PIECE: Duration = Duration::from_millis(10);
/// Longer pieces would be cut by the sockets anyway.
const PIECE_BYTES: f64 = 16.0 * 1024.0;

/// The body as a link carries it whose rate the settings of the toxic give: in pieces,
/// each when its last byte would be through. Another rate holds from when it is set; when
/// the toxic is taken back the rest comes at once.
pub(crate) fn paced<T: HttpToxic>(
    cx: Cx,
    body: Body,
    rate: impl Fn(&T) -> Rate + Send + Sync + 'static,
) -> Body {
    let link = Link { rate: Rate::default(), since: cx.now(), bytes: 0.0 };
    let begin = |body| Paced { cx, body, rate, rest: Bytes::new(), link, lifted: false };
    body.through(begin, Paced::step)
}

struct Paced<F> {
    cx: Cx,
    body: Body,
    rate: F,
    /// What is left of the frame at hand.
    rest: Bytes,
    link: Link,
    /// The toxic is gone.
    lifted: bool,
}

impl<F> Paced<F> {
    async fn step<T: HttpToxic>(mut self) -> Step<Self>
    where
        F: Fn(&T) -> Rate,
    {
        if self.rest.is_empty() {
            match self.body.next().await?.map(Frame::into_data) {
                Ok(Ok(data)) => self.rest = data,
                Ok(Err(trailers)) => return Some((Ok(trailers), self)),
                Err(fault) => return Some((Err(fault), self)),
            }
        }
        let piece = self.piece().await;
        Some((Ok(Frame::data(piece)), self))
    }

    /// The next piece, once it is through.
    async fn piece<T: HttpToxic>(&mut self) -> Bytes
    where
        F: Fn(&T) -> Rate,
    {
        let mut length = 0;
        while !self.lifted && !self.rest.is_empty() {
            let Some(now) = self.cx.current::<T>() else {
                self.lifted = true;
                break;
            };
            self.cx.acted();
            self.link.set_rate((self.rate)(&now.settings), self.cx.now());
            if length == 0 {
                length = self.link.take(self.rest.len(), self.cx.now());
            }
            if length > 0 && self.link.due().is_some_and(|due| due <= self.cx.now()) {
                return self.rest.split_to(length);
            }
            self.cx.wait_or_update(&now, self.link.due().filter(|_| length > 0)).await;
        }
        std::mem::take(&mut self.rest)
    }
}

/// A link as the bytes it has carried since a moment: each deadline is reckoned from
/// there, so that neither rounding nor a late timer adds up.
struct Link {
    rate: Rate,
    since: Time,
    bytes: f64,
}

impl Link {
    fn set_rate(&mut self, rate: Rate, now: Time) {
        if rate == self.rate {
            return;
        }
        // What is not through yet goes on at the new rate.
        let left = self
            .due()
            .map_or(self.bytes, |due| due.saturating_since(now).as_secs_f64() * self.rate.bytes_per_s());
        (self.rate, self.since, self.bytes) = (rate, now, left);
    }

    /// Gives it a piece of what is there; how long it is, 0 if nothing moves.
    fn take(&mut self, there: usize, now: Time) -> usize {
        let rate = self.rate.bytes_per_s();
        if rate <= 0.0 {
            return 0;
        }
        if self.due().is_some_and(|due| due + PIECE < now) {
            (self.since, self.bytes) = (now, 0.0);
        }
        let most = (rate * PIECE.as_secs_f64()).clamp(1.0, PIECE_BYTES) as usize;
        let length = most.min(there);
        self.bytes += length as f64;
        length
    }

    /// When all that it was given is through; none if nothing moves.
    fn due(&self) -> Option<Time> {
        (self.rate.bytes_per_s() > 0.0).then(|| self.since + self.rate.time_for(self.bytes))
    }
}
