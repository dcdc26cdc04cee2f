use std::sync::Arc;

use http_body::Frame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::http::values::{Stop, is_complete};
use crate::http::{Answer, Body, Cx, HttpToxic, Next, Request};
use crate::units::ByteSize;

/// Lets requests hang.
///
/// `at` says where: the request is never answered (and never goes up), the head of
/// the answer comes and nothing more, or its body stops after some bytes; an answer
/// without a body is complete with its head and left alone. When the toxic is removed,
/// what hung goes on where it stopped.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpHang {
    /// Where it stops.
    pub at: Stop,
    /// Bytes of the body that still come, with `at` body.
    pub after: ByteSize,
}

impl HttpToxic for HttpHang {
    const KIND: &'static str = "http_hang";
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
        let after = match self.at {
            Stop::Request => {
                cx.acted();
                cx.wait_for_end().await;
                return next.run(request).await;
            }
            Stop::Head => 0,
            Stop::Body => self.after.0,
        };
        let response = next.run(request).await?;
        if is_complete(&response) {
            return Ok(response);
        }
        Ok(response.map(|body| hang(cx, body, after)))
    }
}

/// The body, with a stop after `left` bytes.
fn hang(cx: Cx, body: Body, left: u64) -> Body {
    let begin = |body| (cx, body, Some(left), None);
    body.through(begin, |(cx, mut body, mut left, mut rest)| async move {
        if left == Some(0) {
            left = None;
            cx.acted();
            cx.wait_for_end().await;
        }
        let frame = match rest.take() {
            Some(rest) => Ok(Frame::data(rest)),
            None => body.next().await?,
        };
        let frame = match (frame.map(Frame::into_data), left) {
            (Ok(Ok(mut data)), Some(count)) => {
                if count < data.len() as u64 {
                    rest = Some(data.split_off(usize::try_from(count).unwrap_or(0)));
                }
                left = Some(count.saturating_sub(data.len() as u64));
                Ok(Frame::data(data))
            }
            (Ok(Ok(data)), None) => Ok(Frame::data(data)),
            (Ok(Err(frame)), _) => Ok(frame),
            (Err(fault), _) => Err(fault),
        };
        Some((frame, (cx, body, left, rest)))
    })
}
