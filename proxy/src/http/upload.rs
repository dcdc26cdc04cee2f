//! The body of a request as the client sends it, and what is left of it when nobody
//! wants it any more.
//!
//! An answer may come before the body was read: a fault's, or an upstream's. hyper then
//! ends the stream (HTTP/2) or the connection (HTTP/1), and a client that is still
//! sending can take that for the end of all, the answer included: curl does. So what is
//! left is read and thrown away, within bounds.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::body::Broken;
use crate::net::Monotonic;
use crate::net::timers::{monotonic_now, within};
use crate::proxy::Proxy;

/// Bytes of an unwanted body that are read: as many as HTTP/2 lets a client send ahead,
/// so no client waits for room with its answer behind it. Uploads that are larger are
/// worth a new connection.
const UNWANTED: usize = 1024 * 1024;

/// How long an unwanted body may take to come: beyond that a client is slow rather than
/// on its way.
const UNWANTED_LIMIT: Duration = Duration::from_secs(1);

/// The body of a request as the client sends it.
pub(super) struct FromClient {
    /// There until it is dropped.
    body: Option<Incoming>,
    /// Hears of what is no HTTP.
    proxy: Arc<Proxy>,
    /// Reading would ask the client for a body that it has not begun.
    unasked: bool,
}

impl FromClient {
    /// The body of the request with these `headers`.
    pub(super) fn new(body: Incoming, version: Version, headers: &HeaderMap, proxy: &Arc<Proxy>) -> Self {
        let unasked = version != Version::HTTP_2 && headers.contains_key(header::EXPECT);
        Self { body: Some(body), proxy: Arc::clone(proxy), unasked }
    }

    /// Reads what is left, but no more than the bounds allow.
    async fn pour_out(mut self) {
        let end = monotonic_now() + UNWANTED_LIMIT;
        let mut left = UNWANTED;
        let pouring = async {
            while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
                let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
                left = rest;
            }
        };
        within(&mut Monotonic::default(), end, pouring).await;
        // No second time.
        self.body = None;
    }
}

impl Drop for FromClient {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if self.unasked || body.is_end_stream() {
            return;
        }
        // Gone with its runtime, the worker needs no more order.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let rest = Self { body: Some(body), proxy: Arc::clone(&self.proxy), unasked: false };
            // Ends within the limit, or with the connection.
            runtime.spawn(rest.pour_out());
        }
    }
}

impl http_body::Body for FromClient {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.unasked = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => {}
            // It has ended, however it did.
            None => self.body = None,
            Some(Err(error)) => {
                if is_malformed(error) {
                    self.proxy.count_malformed();
                }
                self.body = None;
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

/// Whether what came is no body: chunks that are none, not one that ends too early.
fn is_malformed(error: &hyper::Error) -> bool {
    let io = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|io| matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
}
