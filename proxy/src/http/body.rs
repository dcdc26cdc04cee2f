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
use super::pool::Lease;
use crate::relay::ConnShared;

/// The body of a request on its way to the upstream.
pub(super) enum Up {
    /// As the client sends it.
    Client(Incoming, Arc<AtomicBool>),
    /// As the faults left it.
    Toxic(Body, Arc<AtomicBool>),
}

impl Up {
    pub(super) fn new_client(body: Incoming) -> Self {
        Self::Client(body, Arc::default())
    }

    pub(super) fn new_toxic(body: Body) -> Self {
        Self::Toxic(body, Arc::default())
    }

    /// Set once the request was sent in full.
    pub(super) fn sent(&self) -> Arc<AtomicBool> {
        match self {
            Self::Client(_, done) | Self::Toxic(_, done) => Arc::clone(done),
        }
    }

    fn done(&self) -> &AtomicBool {
        match self {
            Self::Client(_, done) | Self::Toxic(_, done) => done,
        }
    }
}

impl http_body::Body for Up {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match &mut *self {
            Self::Client(body, _) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(Error::from))
            }
            Self::Toxic(body, _) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(Error::from))
            }
        };
        if frame.is_none() {
            self.done().store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Client(body, _) => body.is_end_stream(),
            Self::Toxic(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Client(body, _) => body.size_hint(),
            Self::Toxic(body, _) => body.size_hint(),
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // hyper does not ask for the end of a body whose length it knows.
        if self.is_end_stream() {
            self.done().store(true, Ordering::Relaxed);
        }
    }
}

/// The body of a request as the client sends it, for the faults.
pub(super) struct FromClient(pub(super) Incoming);

impl http_body::Body for FromClient {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(Broken)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// The body of an answer as the upstream sends it; at its end the connection is given back.
pub(super) struct Answered {
    pub(super) body: Incoming,
    pub(super) lease: Option<Lease>,
}

impl http_body::Body for Answered {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
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
        if self.body.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }
}

/// A side broke off in the middle of a body.
pub(super) struct Broken(hyper::Error);

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
pub(super) enum Down {
    /// As the upstream sends it.
    Upstream(Answered),
    /// As the faults left it.
    Toxic(Body, Arc<ConnShared>, http::Version),
}

impl http_body::Body for Down {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Self::Upstream(body) => {
                Pin::new(body).poll_frame(cx).map_err(|Broken(error)| match reason(&error) {
                    Some(code) => h2::Error::from(h2::Reason::from(code)).into(),
                    None => error.into(),
                })
            }
            Self::Toxic(body, shared, version) => {
                Pin::new(body).poll_frame(cx).map_err(|fault| break_off(fault, shared, *version))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Upstream(body) => body.is_end_stream(),
            Self::Toxic(body, ..) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Upstream(body) => body.size_hint(),
            Self::Toxic(body, ..) => body.size_hint(),
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
        shared.reset();
    }
    fault.into()
}
