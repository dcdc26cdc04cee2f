use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::http::{Answer, Body, Cx, Dialled, HttpToxic, Next, Request};
use crate::units::Millis;
use crate::{Invalid, Seed};

/// Delays requests by `delay`, give or take `jitter`.
///
/// `at` says where the time goes: before the request goes up, before the head of the
/// answer, or before each chunk of the answer's body. Removing the toxic lets go of
/// what it holds at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpDelay {
    /// The delay.
    pub delay: Millis,
    /// How far the delay varies, in the shape of `distribution`; it never falls below 0.
    #[schemars(extend("x-varies" = "delay"))]
    pub jitter: Millis,
    /// The shape of the jitter, as tc-netem means it; with lognormal `delay` is the median, and
    /// `jitter` is how much more the 99th percentile has.
    pub distribution: Distribution,
    /// Where the request waits.
    pub at: Place,
}

/// Where a request waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Place {
    /// Before it goes up.
    #[default]
    Request,
    /// Before the head of the answer goes down.
    Response,
    /// Before each chunk of the answer's body.
    Chunks,
}

impl HttpToxic for HttpDelay {
    const KIND: &'static str = "http_delay";

    fn validate(&self) -> Result<(), Invalid> {
        self.distribution.check("delay", self.delay, self.jitter)
    }

    fn acts_before_answer(&self) -> bool {
        self.at == Place::Request
    }

    fn passes_on(&self) -> bool {
        self.at != Place::Request
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        if self.at != Place::Chunks {
            cx.acted();
        }
        let delay = self.drawn(&cx.seed("delay"), 0);
        match self.at {
            Place::Request => {
                let until = cx.now() + delay;
                next.prepare(until);
                cx.wait_until(until).await;
                next.run(request).await
            }
            Place::Response => {
                let mut response = next.run(request).await?;
                // Without the toxic there would have been nothing to dial for.
                let dialled = response.extensions_mut().remove::<Dialled>().map_or(Duration::ZERO, |it| it.0);
                cx.wait(delay.saturating_sub(dialled)).await;
                Ok(response)
            }
            Place::Chunks => Ok(next.run(request).await?.map(|body| self.chunks(cx, body))),
        }
    }
}

impl HttpDelay {
    /// The delay of what begins at `offset` of the body: the draw belongs to the place.
    fn drawn(&self, seed: &Seed, offset: u64) -> Duration {
        self.distribution.delay(self.delay.get(), self.jitter.get(), seed.at(offset).unit())
    }

    fn chunks(self: Arc<Self>, cx: Cx, body: Body) -> Body {
        let seed = cx.seed("delay");
        let begin = |body| (self, cx, seed, body, 0);
        body.through(begin, |(toxic, cx, seed, mut body, offset)| async move {
            let frame = body.next().await?;
            let length =
                frame.as_ref().ok().and_then(|frame| frame.data_ref()).map_or(0, |data| data.len() as u64);
            if length > 0 && !cx.is_over() {
                cx.acted();
                cx.wait(toxic.drawn(&seed, offset)).await;
            }
            Some((frame, (toxic, cx, seed, body, offset + length)))
        })
    }
}
