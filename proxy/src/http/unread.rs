//! A connection of which something was read already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Yields what was read before, then what comes.
pub(super) struct Unread<Io> {
    before: Vec<u8>,
    /// How much of it was yielded.
    used: usize,
    io: Io,
}

impl<Io> Unread<Io> {
    pub(super) fn new(before: Vec<u8>, io: Io) -> Self {
        Self { before, used: 0, io }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Unread<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.used == this.before.len() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let left = &this.before[this.used..];
        let now = left.len().min(buf.remaining());
        buf.put_slice(&left[..now]);
        this.used += now;
        if this.used == this.before.len() {
            (this.before, this.used) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Unread<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
