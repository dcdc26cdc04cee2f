use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::codes::GrpcStatus;
use crate::http::matching::is_grpc;
use crate::http::values::{Headers, OneOf, Status};
use crate::http::{Answer, Body, Cx, HttpToxic, Next, Request, Response};

/// Answers with an error instead of asking the upstream.
///
/// Of several statuses one is drawn for each request. A gRPC call is answered as gRPC
/// does it, status 200 and `grpc-status`: the one given, or what its clients make of
/// `status`. A request body is not read.
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
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from(u16::from(code.0)));
        let message = utf8_percent_encode(&self.grpc_message, ESCAPED).to_string();
        if let (false, Ok(message)) = (message.is_empty(), HeaderValue::try_from(message)) {
            headers.insert("grpc-message", message);
        }
        self.headers.set(&mut headers);
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = headers;
        response
    }
}
