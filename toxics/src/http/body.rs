//! Bodies that stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
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
    pub async fn collect(mut self, limit: usize) -> Result<Result<Whole, Self>, Fault> {
        let mut whole = Whole::default();
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            match frame?.into_data() {
                Ok(data) => {
                    let over = whole.data.len() + data.len() > limit;
                    whole.data.extend_from_slice(&data);
                    if over {
                        frames.push(std::mem::take(&mut whole.data).freeze());
                        return Ok(Err(self.after(frames)));
                    }
                }
                Err(frame) => whole.trailers = frame.into_trailers().ok(),
            }
        }
        Ok(Ok(whole))
    }

    /// This body behind what was read of it.
    fn after(self, read: Vec<Bytes>) -> Self {
        Self::driven((read.into_iter(), self), |(mut read, mut body)| async move {
            let frame = match read.next() {
                Some(data) => Ok(Frame::data(data)),
                None => body.next().await?,
            };
            Some((frame, (read, body)))
        })
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
