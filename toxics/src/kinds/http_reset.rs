use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::http::codes::ErrorCode;
use crate::http::values::{Stop, is_complete};
use crate::http::{Answer, Body, Cx, Fault, HttpToxic, Next, Request};
use crate::units::ByteSize;

/// Resets requests: RST_STREAM on HTTP/2, RST of the socket on HTTP/1.
///
/// `at` says when: instead of sending the request up, after the head of the answer, or
/// after some bytes of its body; an answer that is complete by then, as one without a
/// body is with its head, is left alone. What was reset stays so when the toxic is removed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpReset {
    /// Where the request is reset.
    pub at: Stop,
    /// Bytes of the body that still come, with `at` body.
    pub after: ByteSize,
    /// The error code that an HTTP/2 client is told, by name or number.
    pub code: ErrorCode,
}

impl Default for HttpReset {
    fn default() -> Self {
        Self { at: Stop::Request, after: ByteSize(0), code: ErrorCode::CANCEL }
    }
}

impl HttpToxic for HttpReset {
    const KIND: &'static str = "http_reset";
    const EXAMPLE: &'static [(&'static str, &'static str)] = &[("at", "body"), ("after", "1KiB")];

    fn validate(&self) -> Result<(), Invalid> {
        self.at.check_after(self.after)
    }

    fn acts_before_answer(&self) -> bool {
        self.at == Stop::Request
    }

    fn passes_on(&self) -> bool {
        self.at != Stop::Request
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let fault = Fault::Reset(self.code.0);
        match self.at {
            Stop::Request => {
                cx.acted();
                Err(fault)
            }
            Stop::Head => {
                let response = next.run(request).await?;
                if is_complete(&response) {
                    return Ok(response);
                }
                cx.acted();
                Ok(response.map(|_| Body::broken(fault)))
            }
            Stop::Body => {
                let after = self.after.0;
                Ok(next.run(request).await?.map(|body| body.cut(after, fault, move || cx.acted())))
            }
        }
    }
}
