//! A bounded pool of HTTP connections to one address. No mitigation stands here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::BoxError;

use crate::error::LabError;
use crate::guard::Answer;
use crate::metrics::Meter;
use crate::slots::Slots;

/// The lab's answers are a few hundred bytes.
const MAX_ANSWER: usize = 64 << 10;
/// Shorter than servers and proxies keep an idle connection, so that a call rarely meets its end.
const IDLE: Duration = Duration::from_secs(15);
/// Explicit, since a system's own limit is minutes; each call's timeout is shorter.
const CONNECT: Duration = Duration::from_secs(10);

/// A request that can be made again.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub method: Method,
    /// Path and query.
    pub path: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

/// An answer, its body read.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Answer for Reply {
    fn is_failure(&self) -> bool {
        self.status.is_server_error()
    }
}

/// Connections to one address. Clones share them.
#[derive(Clone)]
pub(crate) struct HttpPool {
    base: Arc<str>,
    client: Client<HttpConnector, Full<Bytes>>,
    slots: Slots,
}

impl HttpPool {
    /// `name` is what metrics call it; `base` begins with `http://` and has no path.
    pub(crate) fn new(meter: &Meter, name: &str, base: &str, size: usize) -> Result<Self, LabError> {
        let wrong = |reason: &str| LabError::Address { address: base.to_owned(), reason: reason.to_owned() };
        let uri: Uri = base.parse().map_err(|_| wrong("it is no URL"))?;
        if uri.scheme_str() != Some("http") || uri.path() != "/" || uri.query().is_some() {
            return Err(wrong("write it as http://HOST:PORT"));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(size)
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { base: base.trim_end_matches('/').into(), client, slots: Slots::new(meter, name, size) })
    }

    /// Waits for a connection, then for the answer, both without a limit of its
    /// own: the guard has it. Cancel safe; an answer that nobody waits for closes its connection.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply, BoxError> {
        let _slot = self.slots.take().await?;
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.base, call.path))
            .body(Full::new(call.body))?;
        request.headers_mut().extend(call.headers);
        let answer = self.client.request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        Ok(Reply { status, body })
    }
}
