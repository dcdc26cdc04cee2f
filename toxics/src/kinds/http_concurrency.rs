use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http_abort::{refusal, retry_after};
use crate::http::values::Status;
use crate::http::{Answer, Cx, HttpToxic, Next, Request};
use crate::units::Millis;

/// Refuses requests while `limit` others are in flight.
///
/// Counted are the requests that the toxic lets through, from when they come until the
/// body of their answer has ended or broken off (a WebSocket: until it is open). Refused ones do not go up. Requests
/// that were under way before the toxic was added do not count.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConcurrency {
    /// Requests that may be in flight; 0 refuses all.
    pub limit: u64,
    /// The status of a refusal. gRPC calls get what their clients make of it.
    pub status: Status,
    /// What `retry-after` says, rounded up to whole seconds; 0 leaves it out.
    pub retry_after: Millis,
}

impl Default for HttpConcurrency {
    fn default() -> Self {
        Self { limit: 1, status: Status(StatusCode::SERVICE_UNAVAILABLE), retry_after: Millis::ZERO }
    }
}

impl HttpToxic for HttpConcurrency {
    const KIND: &'static str = "http_concurrency";

    fn acts_before_answer(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let Some(seat) = Seat::take(&cx, self.limit) else {
            cx.acted();
            let mut response = refusal(request.headers(), self.status.0, "too many requests are in flight");
            if !self.retry_after.is_zero() {
                retry_after(&mut response, self.retry_after.get());
            }
            return Ok(response);
        };
        Ok(next.run(request).await?.map(|body| body.holding(seat)))
    }
}

/// How many requests are in flight.
#[derive(Default)]
struct InFlight(AtomicU64);

/// The place of one request among them, given back when it is dropped.
struct Seat(Cx);

impl Seat {
    fn take(cx: &Cx, limit: u64) -> Option<Self> {
        let more = |count| (count < limit).then_some(count + 1);
        let count = &cx.shared::<InFlight>()?.0;
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(cx.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(InFlight(count)) = self.0.shared() {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
