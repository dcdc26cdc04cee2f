use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::http::codes::GrpcStatus;
use crate::http::matching::is_grpc;
use crate::http::values::{Headers, OneOf, Status};
use crate::http::{Answer, Body, Cx, HttpToxic, Next, Request, Response};

/// Answers with an error instead of asking the upstream.
///
/// Of several statuses one is drawn for each request. A gRPC call is answered as gRPC
/// does it, status 200 and `grpc-status`: the one given, or what its clients make of
/// `status`. A request body is not passed on. With `match.status` the request has gone up and
/// been answered, and the answer is replaced.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpAbort {
    /// The status, or several.
    pub status: OneOf<Status>,
    /// Headers of the answer.
    pub headers: Headers,
    /// Body of the answer; a `content-type` among the headers says what it is.
    pub body: String,
    /// The status of gRPC calls, by name or number, or several.
    pub grpc_status: OneOf<GrpcStatus>,
    /// The message of gRPC calls.
    pub grpc_message: String,
}

impl Default for HttpAbort {
    fn default() -> Self {
        Self {
            status: OneOf(vec![Status(StatusCode::SERVICE_UNAVAILABLE)]),
            headers: Headers::default(),
            body: String::new(),
            grpc_status: OneOf::default(),
            grpc_message: String::new(),
        }
    }
}

/// What a message of gRPC may not hold as it is (its HTTP/2 mapping: all but
/// printable ASCII, and the percent sign).
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

impl HttpToxic for HttpAbort {
    const KIND: &'static str = "http_abort";

    fn validate(&self) -> Result<(), Invalid> {
        self.status.unless_empty("status")
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, _: Next) -> Answer {
        cx.acted();
        let status =
            self.status.draw(cx.draws("status")).map_or(StatusCode::SERVICE_UNAVAILABLE, |one| one.0);
        if is_grpc(request.headers()) {
            return Ok(self.grpc(&cx, status));
        }
        let mut response = Response::new(Body::full(self.body.clone()));
        *response.status_mut() = status;
        if !self.body.is_empty() {
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        }
        self.headers.set(response.headers_mut());
        // A wrong one would desynchronise the connection: `http_truncate` does that on purpose.
        response.headers_mut().remove(CONTENT_LENGTH);
        Ok(response)
    }
}

impl HttpAbort {
    /// An answer of trailers only.
    fn grpc(&self, cx: &Cx, status: StatusCode) -> Response {
        let drawn = self.grpc_status.draw(cx.draws("grpc_status")).copied();
        let code = drawn.unwrap_or_else(|| GrpcStatus::of_http(status));
        let mut response = grpc_answer(u32::from(code.0), &self.grpc_message);
        self.headers.set(response.headers_mut());
        response
    }
}

/// An answer of gRPC that is trailers only.
pub(crate) fn grpc_answer(code: u32, message: &str) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(code));
    let message = utf8_percent_encode(message, ESCAPED).to_string();
    if let (false, Ok(message)) = (message.is_empty(), HeaderValue::try_from(message)) {
        headers.insert("grpc-message", message);
    }
    response
}

/// An answer of Sabot's own to a request with these `headers`: `status` and a line of
/// text, or what gRPC makes of it.
pub(crate) fn refusal(headers: &HeaderMap, status: StatusCode, text: &str) -> Response {
    if is_grpc(headers) {
        return grpc_answer(u32::from(GrpcStatus::of_http(status).0), text);
    }
    let mut response = Response::new(Body::full(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Says after how long it is worth another try: in whole seconds, rounded up
/// (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(response: &mut Response, span: Duration) {
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
}
