use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::codes::ErrorCode;
use crate::http::{Answer, Cx, Fault, GoAway, HttpToxic, Next, Request};

/// Says goodbye to clients: GOAWAY over HTTP/2, `Connection: close` over HTTP/1.1.
///
/// It counts the requests of each connection that it is meant for, and says it with the
/// answer to number `after`. NO_ERROR is graceful: requests in flight go on, and the
/// connection closes when they are done. Any other code follows the end of that answer,
/// names the last request that was taken up, and closes the connection with whatever is
/// still in flight. With an `after` of 0 such a code comes instead of an answer: the
/// request does not go up, and the GOAWAY tells the client that it was not taken up and
/// may be sent again. HTTP/1.1 knows no codes: the connection closes after the answer.
/// `match.status` is refused then: there is no answer. What was said stays so when the
/// toxic is removed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpGoaway {
    /// The request of a connection, from 1, after whose answer it ends; 0 is at once.
    #[schemars(range(min = 0))]
    pub after: u64,
    /// The error code that an HTTP/2 client is told, by name or number.
    pub code: ErrorCode,
}

impl Default for HttpGoaway {
    fn default() -> Self {
        Self { after: 1, code: ErrorCode::NO_ERROR }
    }
}

impl HttpToxic for HttpGoaway {
    const KIND: &'static str = "http_goaway";

    fn acts_before_answer(&self) -> bool {
        self.comes_instead()
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let number = cx.of_connection::<AtomicU64>().fetch_add(1, Ordering::Relaxed) + 1;
        if number < self.after {
            return next.run(request).await;
        }
        if self.comes_instead() && request.version() == Version::HTTP_2 {
            cx.acted();
            return Err(Fault::GoAway(self.code.0));
        }
        let mut answer = next.run(request).await?;
        // What changes the protocol has no more answers to come.
        if !answer.status().is_informational() {
            cx.acted();
            answer.extensions_mut().insert(GoAway(self.code.0));
        }
        Ok(answer)
    }
}

impl HttpGoaway {
    /// Whether it comes in the place of an answer.
    fn comes_instead(&self) -> bool {
        self.after == 0 && self.code != ErrorCode::NO_ERROR
    }
}
