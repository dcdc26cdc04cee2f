use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::pace::paced;
use crate::http::values::Side;
use crate::http::{Answer, Cx, HttpToxic, Next, Request};
use crate::units::Rate;

/// Paces the body of each request or answer at `rate`.
///
/// Every body has a link of its own. It passes in pieces of at most 10 ms worth and at
/// most 16 KiB, each when its last byte would be through such a link; a pause saves up
/// no more than 10 ms worth. A rate of 0 stalls. Another rate holds at once, also for the
/// bodies on their way; when the toxic is removed, what is left of them passes at once.
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

    fn acts_before_answer(&self) -> bool {
        self.side == Side::Request
    }

    fn passes_on(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let rate = |toxic: &Self| toxic.rate;
        match self.side {
            Side::Request => next.run(request.map(|body| paced(cx, body, rate))).await,
            Side::Response => Ok(next.run(request).await?.map(|body| paced(cx, body, rate))),
        }
    }
}
