use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::http::values::{OneOf, Status};
use crate::http::{Answer, Body, Cx, HttpToxic, Next, Request};

/// Gives the real answer another status.
///
/// Of several statuses one is drawn for each request. Headers and body are those of the
/// upstream; a status that has no body (204, 205, 304) takes the body away. The status of
/// a gRPC call lies elsewhere and stays. A change of protocol (101) is left alone. What
/// was changed stays so when the toxic is removed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpStatus {
    /// The status, or several.
    pub status: OneOf<Status>,
}

impl Default for HttpStatus {
    fn default() -> Self {
        Self { status: OneOf(vec![Status(StatusCode::SERVICE_UNAVAILABLE)]) }
    }
}

impl HttpToxic for HttpStatus {
    const KIND: &'static str = "http_status";

    fn validate(&self) -> Result<(), Invalid> {
        self.status.unless_empty("status")
    }

    fn passes_on(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let head = request.method() == Method::HEAD;
        let mut response = next.run(request).await?;
        let before = response.status();
        let Some(Status(status)) = self.status.draw(cx.draws("status")).copied() else { return Ok(response) };
        if before.is_informational() || before == status {
            return Ok(response);
        }
        cx.acted();
        *response.status_mut() = status;
        let (had_none, has_none) = (Status::is_bodiless(before), Status::is_bodiless(status));
        if has_none {
            *response.body_mut() = Body::empty();
        }
        // A 304 may announce the length of a body that it does not have, and an answer to
        // HEAD always does; elsewhere the client would wait for it.
        if (had_none || has_none) && !head {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        Ok(response)
    }
}
