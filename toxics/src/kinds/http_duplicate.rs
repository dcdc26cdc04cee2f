use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::http::body::Whole;
use crate::http::next::clone_head;
use crate::http::{Answer, Body, Cx, HttpToxic, Next, Request};

/// Sends requests to the upstream again, to see whether it is idempotent.
///
/// The copies go up one after the other once the head of the first answer has come, and
/// the client gets that first answer when they have been answered too: whoever has it can
/// count on the upstream having seen all of them. What the copies are answered is read
/// and dropped; for each of them the client is kept waiting 10 s at most. A request whose
/// body is longer than 1 MiB is not repeated, nor one that changes the protocol. When the toxic is removed, no more copies go up.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpDuplicate {
    /// How many copies.
    #[schemars(range(min = 1, max = 10))]
    pub copies: u8,
}

impl Default for HttpDuplicate {
    fn default() -> Self {
        Self { copies: 1 }
    }
}

/// Of a body that is kept to be sent again: requests in flight must not fill the memory.
const LIMIT: usize = 1 << 20;
/// For one copy: an upstream that lets it hang must not keep the client for ever.
const PATIENCE: Duration = Duration::from_secs(10);

impl HttpToxic for HttpDuplicate {
    const KIND: &'static str = "http_duplicate";

    fn validate(&self) -> Result<(), Invalid> {
        if (1..=10).contains(&self.copies) {
            return Ok(());
        }
        Err(Invalid::new("copies", "must lie between 1 and 10"))
    }

    fn acts_before_answer(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let head = clone_head(&request);
        let (parts, body) = request.into_parts();
        let whole = match body.collect_until(LIMIT, cx.wait_for_end()).await? {
            Ok(whole) => whole,
            Err(body) => return next.run(Request::from_parts(parts, body)).await,
        };
        let (data, trailers) = (whole.data.freeze(), whole.trailers);
        let body = || Body::from(Whole { data: Bytes::clone(&data).into(), trailers: trailers.clone() });
        let answer = next.run(Request::from_parts(parts, body())).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        for _ in 0..self.copies {
            if cx.is_over() {
                break;
            }
            cx.acted();
            let limit = cx.now() + PATIENCE;
            let copy = exchange(next.run(clone_head(&head).map(|_| body())));
            future::select(pin!(copy), pin!(cx.wait_until(limit))).await;
        }
        Ok(answer)
    }
}

/// Reads an answer to its end, and drops it.
async fn exchange(answer: impl Future<Output = Answer>) {
    let Ok(answer) = answer.await else { return };
    let mut body = answer.into_body();
    while let Some(Ok(_)) = body.next().await {}
}
