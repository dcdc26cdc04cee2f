//! GOAWAY with a code of choice (RFC 9113, section 6.8), which hyper does not offer.
//!
//! Between hyper and the client's side, [`Goodbye`] walks over the heads of the frames
//! that pass: a few instructions for a frame of HTTP/2, one comparison for a read or
//! write of HTTP/1. So it knows which requests there are and where a frame ends, and
//! when it is told to, writes a GOAWAY there, and closes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::walk::{DATA, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Walk};

/// What tells HTTP/2 (section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Streams that were seen and have not come as requests: more than hyper lets in.
const MOST_WAITING: usize = 1024;

/// What the requests of a connection and its [`Goodbye`] share.
#[derive(Default)]
pub(super) struct Streams {
    inner: Mutex<Inner>,
    /// Whether there is an order: looked at with each read and write.
    ordered: AtomicBool,
}

#[derive(Default)]
struct Inner {
    /// The client's streams that have not come as requests yet.
    waiting: VecDeque<u32>,
    /// The highest stream of the client's.
    highest: u32,
    /// The two highest streams whose requests were taken up.
    taken: [u32; 2],
    order: Option<Order>,
}

/// What is to be said.
struct Order {
    code: u32,
    /// After the end of that stream; none is at once.
    after: Option<u32>,
    /// The last stream, if it is not the last that was taken up.
    last: Option<u32>,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream of the request that comes now; they come in the order of their streams.
    pub(super) fn next(&self) -> Option<u32> {
        self.lock().waiting.pop_front()
    }

    /// Takes the request of that stream up; false if the client was told that it will not be.
    pub(super) fn take_up(&self, stream: u32) -> bool {
        let mut inner = self.lock();
        let [first, second] = inner.taken;
        if inner.order.as_ref().and_then(|order| order.last).is_some_and(|last| stream > last) {
            return false;
        }
        inner.taken = if stream > first { [stream, first] } else { [first, second.max(stream)] };
        true
    }

    /// Says goodbye once the answer of that stream has ended.
    pub(super) fn leave_after(&self, stream: u32, code: u32) {
        self.order(|_| Order { code, after: Some(stream), last: None });
    }

    /// Says goodbye at once, and that the request of that stream was not taken up, unless
    /// later ones were.
    pub(super) fn leave_before(&self, stream: u32, code: u32) {
        self.order(|[first, second]| {
            let last = if first == stream { second } else { first };
            Order { code, after: None, last: Some(last) }
        });
    }

    fn order(&self, order: impl FnOnce([u32; 2]) -> Order) {
        let mut inner = self.lock();
        if inner.order.is_none() {
            inner.order = Some(order(inner.taken));
            self.ordered.store(true, Ordering::Release);
        }
    }
}

/// The client's side, as hyper wants it.
pub(super) struct Goodbye<I> {
    io: I,
    streams: Arc<Streams>,
    speaks: Speaks,
    read: Walk,
    written: Walk,
    /// The stream that is waited for has ended.
    ended: bool,
    stage: Stage,
}

enum Speaks {
    /// So many bytes are as in the preface.
    Unknown(usize),
    Http1,
    Http2,
}

enum Stage {
    Open,
    /// The GOAWAY, and how much of it was written.
    Saying([u8; 17], usize),
    Closing,
    Gone,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Goodbye<I> {
    pub(super) fn new(io: I, streams: Arc<Streams>) -> Self {
        let (read, written) = <(Walk, Walk)>::default();
        Self { io, streams, speaks: Speaks::Unknown(0), read, written, ended: false, stage: Stage::Open }
    }

    /// Looks at what came.
    fn came(&mut self, mut data: &[u8]) {
        if let Speaks::Unknown(matched) = &mut self.speaks {
            let length = data.len().min(PREFACE.len() - *matched);
            if data[..length] != PREFACE[*matched..][..length] {
                self.speaks = Speaks::Http1;
                return;
            }
            *matched += length;
            if *matched < PREFACE.len() {
                return;
            }
            data = &data[length..];
            self.speaks = Speaks::Http2;
        }
        if !matches!(self.speaks, Speaks::Http2) {
            return;
        }
        let (streams, ended) = (&self.streams, &mut self.ended);
        self.read.over(data, |frame| match frame.kind {
            HEADERS => {
                let mut inner = streams.lock();
                if frame.stream > inner.highest {
                    inner.highest = frame.stream;
                    if inner.waiting.len() >= MOST_WAITING {
                        inner.waiting.pop_front();
                    }
                    inner.waiting.push_back(frame.stream);
                }
            }
            RST_STREAM => *ended |= streams.waits_for(frame.stream),
            _ => {}
        });
    }

    /// Looks at what was written.
    fn went(&mut self, data: &[u8]) {
        let (streams, ended) = (&self.streams, &mut self.ended);
        self.written.over(data, |frame| {
            if frame.kind == RST_STREAM {
                // It was refused, and will not come as a request.
                streams.lock().waiting.retain(|stream| *stream != frame.stream);
            }
            let last = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
            if last || frame.kind == RST_STREAM {
                *ended |= streams.waits_for(frame.stream);
            }
        });
    }

    /// Whether it is time to leave, at the end of the frame at hand.
    fn is_due(&self) -> bool {
        self.streams.ordered.load(Ordering::Acquire)
            && (self.ended || self.streams.lock().order.as_ref().is_some_and(|order| order.after.is_none()))
    }

    /// Says goodbye if it is time; ready once that is done.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.stage, Stage::Open) && self.is_due() && self.written.is_between() {
            self.stage = Stage::Saying(self.streams.goaway(), 0);
        }
        loop {
            match &mut self.stage {
                Stage::Open => return Poll::Pending,
                Stage::Saying(frame, said) if *said < frame.len() => {
                    *said += ready!(Pin::new(&mut self.io).poll_write(cx, &frame[*said..]))?;
                }
                Stage::Saying(..) => {
                    ready!(Pin::new(&mut self.io).poll_flush(cx))?;
                    self.stage = Stage::Closing;
                }
                Stage::Closing => {
                    ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
                    self.stage = Stage::Gone;
                }
                Stage::Gone => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Says goodbye if it is time; ready if it is not, an error once that is done.
    fn poll_stay(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_leave(cx) {
            Poll::Pending if matches!(self.stage, Stage::Open) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            other => other,
        }
    }
}

impl Streams {
    fn waits_for(&self, stream: u32) -> bool {
        self.ordered.load(Ordering::Acquire)
            && self.lock().order.as_ref().is_some_and(|order| order.after == Some(stream))
    }

    fn goaway(&self) -> [u8; 17] {
        let inner = self.lock();
        let (code, last) = inner.order.as_ref().map_or((0, None), |order| (order.code, order.last));
        let mut frame = [0; 17];
        (frame[2], frame[3]) = (8, GOAWAY);
        frame[9..13].copy_from_slice(&last.unwrap_or(inner.taken[0]).to_be_bytes());
        frame[13..].copy_from_slice(&code.to_be_bytes());
        frame
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Goodbye<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.streams.ordered.load(Ordering::Acquire) {
            match this.poll_stay(cx) {
                Poll::Ready(Ok(())) => {}
                // The end, for hyper.
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        if !matches!(this.speaks, Speaks::Http1) {
            this.came(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Goodbye<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if !matches!(this.speaks, Speaks::Http2) {
            return Pin::new(&mut this.io).poll_write_vectored(cx, parts);
        }
        let written = if this.streams.ordered.load(Ordering::Acquire) {
            ready!(this.poll_stay(cx))?;
            let first = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| &part[..]);
            let most = if this.is_due() { this.written.rest().min(first.len()) } else { first.len() };
            ready!(Pin::new(&mut this.io).poll_write(cx, &first[..most]))?
        } else {
            ready!(Pin::new(&mut this.io).poll_write_vectored(cx, parts))?
        };
        let mut left = written;
        for part in parts {
            let length = left.min(part.len());
            this.went(&part[..length]);
            left -= length;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.streams.ordered.load(Ordering::Acquire) {
            ready!(this.poll_stay(cx))?;
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if matches!(this.stage, Stage::Open) {
            return Pin::new(&mut this.io).poll_shutdown(cx);
        }
        this.poll_leave(cx)
    }
}
