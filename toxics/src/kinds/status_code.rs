use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::http::content::{self, Coding};
use crate::http::values::Text;
use crate::http::{Answer, Body, Cx, HttpToxic, Next, Request};

/// Gives answers another status, as Litmus' fork of Toxiproxy does.
///
/// The upstream is asked all the same. Its headers stay, and its body too unless
/// `modify_response_body` is 1. An answer that changes the protocol passes as it is.
/// `http_status` and `http_abort` say the same in Sabot's own words, and more.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatusCodeToxic {
    /// The status, 200 to 599; 0 keeps the upstream's.
    #[schemars(range(min = 0, max = 599))]
    pub status_code: u16,
    /// 1 puts `response_body` in the place of the body, 0 keeps it.
    #[schemars(range(min = 0, max = 1))]
    pub modify_response_body: u8,
    /// The new body; an empty one stands for a line that names the status.
    pub response_body: String,
    /// How the new body is compressed: `gzip`, `deflate`, or nothing for not at all.
    pub content_encoding: Coding,
    /// The type of the new body; nothing keeps the upstream's.
    pub content_type: Text,
}

impl HttpToxic for StatusCodeToxic {
    const KIND: &'static str = "status_code";
    const CLASSIC: Option<&'static [&'static str]> =
        Some(&["status_code", "modify_response_body", "response_body", "content_encoding", "content_type"]);

    fn validate(&self) -> Result<(), Invalid> {
        if self.status_code != 0 && !(200..600).contains(&self.status_code) {
            let message = "is no status of an answer: give 200 to 599, or 0 to keep the upstream's";
            return Err(Invalid::new("status_code", message));
        }
        if self.modify_response_body > 1 {
            return Err(Invalid::new("modify_response_body", "must be 0 or 1"));
        }
        Ok(())
    }

    fn passes_on(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let mut response = next.run(request).await?;
        let status = StatusCode::from_u16(self.status_code).ok();
        if response.status().is_informational() || (status.is_none() && self.modify_response_body == 0) {
            return Ok(response);
        }
        cx.acted();
        let status = status.unwrap_or(response.status());
        *response.status_mut() = status;
        if self.modify_response_body == 1 {
            let own = self.response_body.is_empty();
            let line = || format!("{} {}\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
            let text = if own { line() } else { self.response_body.clone() };
            if own {
                let plain = HeaderValue::from_static("text/plain; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, plain);
            }
            content::replace(&mut response, &text, self.content_encoding, &self.content_type);
        } else if !content::has_content(status) {
            response.headers_mut().remove(CONTENT_LENGTH);
            *response.body_mut() = Body::empty();
        }
        Ok(response)
    }
}
