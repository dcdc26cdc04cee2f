//! Bodies that stream.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::future::{self, Either};
use futures_util::stream;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};

use super::Fault;

/// A body of a request or an answer: data, perhaps trailers, perhaps a fault that
/// breaks it off.
#[derive(Debug)]
pub struct Body(UnsyncBoxBody<Bytes, Fault>);

/// What a step of [`Body::driven`] yields: a frame or a fault, and the next state.
pub type Step<S> = Option<(Result<Frame<Bytes>, Fault>, S)>;

impl Body {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Empty::new())
    }

    /// A body that is there at once.
    #[must_use]
    pub fn full(data: impl Into<Bytes>) -> Self {
        Self::new(Full::new(data.into()))
    }

    /// Any body, its errors named.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Fault>,
    {
        Self(body.map_err(Into::into).boxed_unsync())
    }

    /// A body whose frames come one by one from `step`, which may wait.
    pub fn driven<S, Fut>(state: S, step: impl FnMut(S) -> Fut + Send + 'static) -> Self
    where
        S: Send + 'static,
        Fut: Future<Output = Step<S>> + Send + 'static,
    {
        Self(StreamBody::new(stream::unfold(state, step)).boxed_unsync())
    }

    /// What `step` makes of this body, frame by frame, from the state that `begin` makes
    /// of it. One that has ended stays as it is: gRPC knows its errors by a head that is
    /// the end as well, and a body whose end is yet to come would make it two.
    #[must_use]
    pub fn through<S, Fut>(
        self,
        begin: impl FnOnce(Self) -> S,
        step: impl FnMut(S) -> Fut + Send + 'static,
    ) -> Self
    where
        S: Send + 'static,
        Fut: Future<Output = Step<S>> + Send + 'static,
    {
        if self.0.is_end_stream() { self } else { Self::driven(begin(self), step) }
    }

    /// A body that breaks off at once.
    #[must_use]
    pub fn broken(fault: Fault) -> Self {
        Self::driven(Some(fault), |fault| async { fault.map(|fault| (Err(fault), None)) })
    }

    /// The next frame: data or trailers. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Frame<Bytes>, Fault>> {
        self.0.frame().await
    }

    /// Reads all of it, at most `limit` bytes, and the trailers.
    ///
    /// # Errors
    /// The body breaks off; or it is longer, and comes back as it was.
    pub async fn collect(self, limit: usize) -> Result<Result<Whole, Self>, Fault> {
        self.collect_until(limit, future::pending()).await
    }

    /// Like [`Self::collect`], but gives up when `end` comes first: a body that is never
    /// complete must not outlive the fault that waits for it.
    ///
    /// # Errors
    /// The body breaks off; or it is longer or not there in time, and comes back as it was.
    pub async fn collect_until(
        mut self,
        limit: usize,
        end: impl Future<Output = ()> + Send,
    ) -> Result<Result<Whole, Self>, Fault> {
        if self.0.size_hint().lower() > limit as u64 {
            return Ok(Err(self));
        }
        let mut whole = Whole::default();
        let mut end = pin!(end);
        loop {
            let frame = match future::select(pin!(self.next()), end.as_mut()).await {
                Either::Left((Some(frame), _)) => Some(frame?),
                Either::Left((None, _)) => return Ok(Ok(whole)),
                Either::Right(_) => None,
            };
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    whole.data.extend_from_slice(&data);
                    if whole.data.len() > limit {
                        return Ok(Err(self.after(whole.data.freeze())));
                    }
                }
                // Nothing comes after trailers.
                Some(Err(frame)) => {
                    whole.trailers = frame.into_trailers().ok();
                    return Ok(Ok(whole));
                }
                None => return Ok(Err(self.after(whole.data.freeze()))),
            }
        }
    }

    /// The first `bytes` of the data, then `fault` if the body has not ended by then;
    /// `on_cut` is called when it comes to that.
    #[must_use]
    pub fn cut(self, bytes: u64, fault: Fault, on_cut: impl FnOnce() + Send + 'static) -> Self {
        let begin = |body| (Some((body, fault, on_cut)), bytes);
        self.through(begin, |(mut parts, left)| async move {
            let (mut body, fault, on_cut) = parts.take()?;
            if left == 0 && !body.0.is_end_stream() {
                on_cut();
                return Some((Err(fault), (None, 0)));
            }
            let mut data = match body.next().await?.map(Frame::into_data) {
                Ok(Ok(data)) => data,
                Ok(Err(frame)) => return Some((Ok(frame), (Some((body, fault, on_cut)), left))),
                Err(fault) => return Some((Err(fault), (None, 0))),
            };
            if data.len() as u64 > left {
                data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                // What is cut off of this frame is lost even if it was the last.
                body = Self::broken(fault.clone());
            }
            let left = left - data.len() as u64;
            Some((Ok(Frame::data(data)), (Some((body, fault, on_cut)), left)))
        })
    }

    /// This body, which keeps `guard` until it has ended or is dropped.
    #[must_use]
    pub fn holding(self, guard: impl Send + 'static) -> Self {
        Self::new(Holding { body: self, guard: Some(guard) })
    }

    /// This body behind what was read of it.
    fn after(self, read: Bytes) -> Self {
        let read = Some(read).filter(|read| !read.is_empty());
        Self::driven((read, self), |(mut read, mut body)| async move {
            let frame = match read.take() {
                Some(data) => Ok(Frame::data(data)),
                None => body.next().await?,
            };
            Some((frame, (read, body)))
        })
    }
}

/// A body that keeps something until it has ended. Its length stays known, so that an
/// answer without a body keeps being one.
struct Holding<G> {
    body: Body,
    guard: Option<G>,
}

// Nothing in it is pinned: the body is a box.
impl<G> Unpin for Holding<G> {}

impl<G: Send + 'static> http_body::Body for Holding<G> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.guard = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// All of a body.
#[derive(Debug, Default)]
pub struct Whole {
    /// Its data.
    pub data: BytesMut,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
}

impl From<Whole> for Body {
    fn from(whole: Whole) -> Self {
        let data = Full::new(whole.data.freeze());
        match whole.trailers {
            None => Self::new(data),
            Some(trailers) => Self::new(data.with_trailers(async { Some(Ok(trailers)) })),
        }
    }
}

impl From<std::convert::Infallible> for Fault {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
