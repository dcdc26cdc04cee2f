//! A connection to the upstream that may become a tunnel, and then ends as the client's
//! does.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::net::Stream;
use crate::relay::ConnShared;

/// What can be closed with RST, under TLS too.
pub(super) trait Resettable {
    /// Has the socket say RST when it is closed.
    fn reset_on_close(&self);
}

impl Resettable for Stream {
    fn reset_on_close(&self) {
        Self::reset_on_close(self);
    }
}

impl Resettable for TlsStream<Stream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

/// Closes with RST if the client's connection is reset by then.
///
/// hyper has it, and whom it hands it to after a change of protocol gets no socket back.
pub(super) struct Tied<I: Resettable> {
    io: I,
    client: Arc<ConnShared>,
}

impl<I: Resettable> Tied<I> {
    pub(super) fn new(io: I, client: Arc<ConnShared>) -> Self {
        Self { io, client }
    }
}

impl<I: Resettable> Drop for Tied<I> {
    fn drop(&mut self) {
        if self.client.is_reset() {
            self.io.reset_on_close();
        }
    }
}

impl<I: Resettable + AsyncRead + Unpin> AsyncRead for Tied<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: Resettable + AsyncWrite + Unpin> AsyncWrite for Tied<I> {
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
