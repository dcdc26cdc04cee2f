//! Bodies as they pass from one side to the other.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use sabot_toxics::http::{Body, Fault};

use super::Error;
use super::expect::{Gate, Go, Held};
use super::pool::Lease;
use super::stats::Seen;
use super::upload::FromClient;
use crate::relay::ConnShared;

/// The body of a request on its way to the upstream.
pub(super) struct Up {
    source: Source,
    /// Set once the request was sent in full.
    sent: Arc<AtomicBool>,
    /// What it waits for before it begins.
    held: Option<Held>,
}

enum Source {
    /// As the client sends it.
    Client(FromClient),
    /// As the faults left it.
    Toxic(Body),
    Nothing,
}

impl Up {
    pub(super) fn new_client(body: FromClient) -> Self {
        Self::new(Source::Client(body))
    }

    pub(super) fn new_toxic(body: Body) -> Self {
        Self::new(Source::Toxic(body))
    }

    pub(super) fn nothing() -> Self {
        Self::new(Source::Nothing)
    }

    fn new(source: Source) -> Self {
        Self { source, sent: Arc::default(), held: None }
    }

    /// Set once the request was sent in full.
    pub(super) fn sent(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.sent)
    }

    /// Has the body wait for `gate`.
    pub(super) fn hold(&mut self, gate: Arc<Gate>) {
        self.held = Some(Held::new(gate));
    }
}

impl http_body::Body for Up {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let up = &mut *self;
        while let Some(held) = &mut up.held {
            match ready!(held.poll(cx, matches!(up.source, Source::Nothing))) {
                Go::On => up.held = None,
                Go::Drop => up.source = Source::Nothing,
                Go::Off => return Poll::Ready(Some(Err("the body was not asked for".into()))),
            }
        }
        let frame = match &mut up.source {
            Source::Client(body) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(|Broken(error)| error.into()))
            }
            Source::Toxic(body) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(Error::from))
            }
            Source::Nothing => None,
        };
        if frame.is_none() {
            up.sent.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Client(body) => body.is_end_stream(),
            Source::Toxic(body) => body.is_end_stream(),
            // One that was held and let go of has not been sent.
            Source::Nothing => self.held.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Client(body) => body.size_hint(),
            Source::Toxic(body) => body.size_hint(),
            Source::Nothing => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // hyper does not ask for the end of a body whose length it knows.
        if self.is_end_stream() {
            self.sent.store(true, Ordering::Relaxed);
        }
    }
}

/// The body of an answer as the upstream sends it; at its end the connection is given back.
pub(super) struct Answered {
    pub(super) body: Incoming,
    pub(super) lease: Option<Lease>,
    /// Where the body of the request waits, or waited.
    pub(super) gate: Option<Arc<Gate>>,
}

impl Answered {
    fn ended(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl http_body::Body for Answered {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() {
            self.ended();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.ended();
        }
        if let Some(gate) = &self.gate {
            gate.finished();
        }
    }
}

/// A side broke off in the middle of a body.
pub(super) struct Broken(pub(super) hyper::Error);

impl From<Broken> for Fault {
    fn from(Broken(error): Broken) -> Self {
        match reason(&error) {
            Some(code) => Self::Reset(code),
            None => Self::Close,
        }
    }
}

/// The HTTP/2 code of an error that was an RST_STREAM.
pub(super) fn reason(error: &(dyn std::error::Error + 'static)) -> Option<u32> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(reason) = error.downcast_ref::<h2::Error>().and_then(h2::Error::reason) {
            return Some(reason.into());
        }
        source = error.source();
    }
    None
}

/// The body of an answer on its way to the client.
pub(super) struct Down {
    source: Below,
    shared: Arc<ConnShared>,
    version: http::Version,
    /// The end of a body that broke off, once what came before had its turn to be sent.
    broken: Option<Fault>,
    /// The request that it answers.
    seen: Option<Arc<Seen>>,
}

enum Below {
    /// As the upstream sends it.
    Upstream(Answered),
    /// As the faults left it.
    Toxic(Body),
}

impl Down {
    pub(super) fn upstream(
        body: Answered,
        shared: &Arc<ConnShared>,
        version: http::Version,
        seen: Option<Arc<Seen>>,
    ) -> Self {
        Self { source: Below::Upstream(body), shared: Arc::clone(shared), version, broken: None, seen }
    }

    pub(super) fn toxic(
        body: Body,
        shared: &Arc<ConnShared>,
        version: http::Version,
        seen: Option<Arc<Seen>>,
    ) -> Self {
        Self { source: Below::Toxic(body), shared: Arc::clone(shared), version, broken: None, seen }
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        if let Some(seen) = self.seen.take() {
            seen.finish();
        }
    }
}

impl http_body::Body for Down {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(fault) = self.broken.take() {
            if let Some(seen) = &self.seen {
                seen.lost();
            }
            return Poll::Ready(Some(Err(break_off(fault, &self.shared, self.version))));
        }
        let frame = match &mut self.source {
            Below::Upstream(body) => ready!(Pin::new(body).poll_frame(cx)).map(|it| it.map_err(Fault::from)),
            Below::Toxic(body) => ready!(Pin::new(body).poll_frame(cx)),
        };
        match frame {
            Some(Err(fault)) => {
                // hyper throws away what it has not written yet when a body fails.
                self.broken = Some(fault);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Below::Upstream(body) => body.is_end_stream(),
            Below::Toxic(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Below::Upstream(body) => body.size_hint(),
            Below::Toxic(body) => body.size_hint(),
        }
    }
}

/// Makes a fault an error that has hyper do it: RST_STREAM with the code on HTTP/2; on
/// HTTP/1 the connection is closed, with RST if that was asked for.
pub(super) fn break_off(fault: Fault, shared: &ConnShared, version: http::Version) -> Error {
    let code = match fault {
        Fault::Reset(code) => code,
        _ => h2::Reason::INTERNAL_ERROR.into(),
    };
    if version == http::Version::HTTP_2 {
        return h2::Error::from(h2::Reason::from(code)).into();
    }
    if matches!(fault, Fault::Reset(_)) {
        shared.reset_by_fault();
    }
    fault.into()
}
