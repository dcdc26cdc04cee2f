//! Connections of HTTP/1.1 and HTTP/2, over hyper.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::task::AbortHandle;

use super::call::Answer;
use super::dial::{NoConnection, dial};
use super::pool::Connection;
use super::wire::Marks;
use crate::load::plan::Http2;
use crate::load::target::Target;
use crate::outcome::Fate;

/// Streams that one HTTP/2 connection carries at once: what servers allow as a rule, and the least
/// that RFC 9113 recommends them to.
const STREAMS: u32 = 100;

/// HTTP/2 windows large enough that answers do not wait for updates.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Where and how connections of HTTP are opened.
#[derive(Clone, Debug)]
pub(crate) struct HttpTarget {
    pub target: Target,
    /// None for plain TCP.
    pub tls: Option<Arc<ClientConfig>>,
    pub http2: Http2,
}

/// A connection of HTTP.
pub(crate) struct HttpConnection {
    sender: Sender,
    marks: Rc<Marks>,
    task: AbortHandle,
}

enum Sender {
    One(RefCell<http1::SendRequest<Full<Bytes>>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// Why there was no answer.
pub(crate) struct Broken {
    fate: Fate,
    unsent: bool,
    keep: bool,
}

impl From<Broken> for Answer {
    fn from(broken: Broken) -> Self {
        Self { keep: broken.keep, unsent: broken.unsent, ..Self::broken(broken.fate) }
    }
}

impl HttpTarget {
    /// Whether connections carry several requests at once, if that is known beforehand.
    pub(crate) fn multiplexed(&self) -> Option<bool> {
        match (self.http2, &self.tls) {
            (Http2::Always, _) => Some(true),
            (Http2::Never, _) | (Http2::Auto, None) => Some(false),
            (Http2::Auto, Some(_)) => None,
        }
    }

    /// What its connections are shared by.
    pub(crate) fn key(&self) -> String {
        format!("http {} {} {:?}", self.target.scheme, self.target.authority, self.http2)
    }

    /// Opens a connection.
    pub(crate) async fn connect(self) -> Result<HttpConnection, NoConnection> {
        let stream = dial(&self.target, self.tls.as_ref()).await?;
        let marks = stream.marks();
        let two = self.http2 == Http2::Always || stream.chose_h2();
        let io = TokioIo::new(stream);
        if two {
            let mut builder = http2::Builder::new(LocalExecutor);
            builder
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW);
            let (sender, connection) = builder.handshake(io).await.map_err(|error| ungreeted(&error))?;
            // What goes wrong with it is told to each request on it.
            let task = tokio::task::spawn_local(async move { drop(connection.await) }).abort_handle();
            return Ok(HttpConnection { sender: Sender::Two(sender), marks, task });
        }
        let (sender, connection) = http1::handshake(io).await.map_err(|error| ungreeted(&error))?;
        let task = tokio::task::spawn_local(async move { drop(connection.await) }).abort_handle();
        Ok(HttpConnection { sender: Sender::One(RefCell::new(sender)), marks, task })
    }
}

fn ungreeted(error: &hyper::Error) -> NoConnection {
    NoConnection::because(format_args!("HTTP: {error}"))
}

impl HttpConnection {
    /// Whether requests name scheme and authority in full.
    pub(crate) fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::Two(_))
    }

    /// Sends a request; the head of its answer.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Broken> {
        match &self.sender {
            Sender::One(sender) => {
                let ready = std::future::poll_fn(|cx| sender.borrow_mut().poll_ready(cx)).await;
                ready.map_err(|_| Broken { fate: Fate::Reset, unsent: true, keep: false })?;
                let answer = sender.borrow_mut().try_send_request(request);
                answer.await.map_err(|error| self.broken(error.error(), error.message().is_some()))
            }
            Sender::Two(sender) => {
                let answer = sender.clone().try_send_request(request);
                answer.await.map_err(|error| self.broken(error.error(), error.message().is_some()))
            }
        }
    }

    /// Reads a body to its end; `each` sees its data, what it does not keep is let go.
    ///
    /// # Errors
    /// It ended before it was whole.
    pub(crate) async fn read(
        &self,
        body: &mut Incoming,
        mut each: impl FnMut(&Bytes),
    ) -> Result<Option<http::HeaderMap>, Broken> {
        let mut trailers = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.broken(&error, false))?;
            match frame.into_data() {
                Ok(data) => each(&data),
                Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
            }
        }
        Ok(trailers)
    }

    fn broken(&self, error: &hyper::Error, unsent: bool) -> Broken {
        let (fate, refused) = fate(error);
        Broken { fate, unsent: unsent || refused, keep: self.is_h2() && self.is_open() }
    }
}

/// How an error of hyper is counted, and whether the server says that it did nothing with the request.
fn fate(error: &hyper::Error) -> (Fate, bool) {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(h2) = cause.downcast_ref::<h2::Error>() {
            let refused = h2.reason() == Some(h2::Reason::REFUSED_STREAM);
            // What the other side says in a frame ended the request; what we find wrong is its fault.
            let theirs = h2.is_remote() || h2.is_io();
            return (if theirs { Fate::Reset } else { Fate::Protocol }, refused);
        }
        source = cause.source();
    }
    let protocol = error.is_parse() || error.is_parse_too_large() || error.is_parse_status();
    // hyper calls a length or chunk of a body that cannot be read an error of the body, with an
    // `InvalidData` or `InvalidInput` beneath.
    let garbled = io_kind(error).is_some_and(|kind| {
        matches!(kind, std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput)
    });
    (if protocol || garbled { Fate::Protocol } else { Fate::Reset }, false)
}

fn io_kind(error: &hyper::Error) -> Option<std::io::ErrorKind> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        source = cause.source();
    }
    None
}

impl Connection for HttpConnection {
    fn is_open(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => !sender.borrow().is_closed(),
            Sender::Two(sender) => !sender.is_closed(),
        }
    }

    fn capacity(&self) -> u32 {
        if self.is_h2() { STREAMS } else { 1 }
    }

    fn marks(&self) -> &Marks {
        &self.marks
    }
}

impl Drop for HttpConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Spawns on the worker's own thread.
#[derive(Clone)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
