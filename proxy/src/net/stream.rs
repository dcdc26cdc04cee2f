//! A connected socket, TCP or Unix, with the few calls that a relay needs.
//!
//! No buffering and no policy: when to read, write or close is the relay's.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use rustix::pipe::{SpliceFlags, splice};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// One side of a proxied connection.
#[derive(Debug)]
pub(crate) enum Stream {
    /// TCP, with `TCP_NODELAY` and keepalive set by who made it.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
}

impl Stream {
    /// Reads what is there, at most `buf` full; 0 is the peer's FIN.
    ///
    /// A read that does not fill `buf` has drained the socket: tokio then waits
    /// for the next event without a further `read` that would say `EAGAIN`.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
        }
    }

    /// Writes as much of `buf` as the socket takes.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, buf),
        }
    }

    /// Writes as much of `parts`, in order, as the socket takes in one call.
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, parts),
            Self::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, parts),
        }
    }

    /// Moves up to `len` bytes from the socket into `pipe` without copying them; 0 is the FIN.
    pub(crate) fn poll_splice_into(
        &mut self,
        cx: &mut Context<'_>,
        pipe: BorrowedFd<'_>,
        len: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            let moved = self.try_io(Interest::READABLE, |socket| {
                Ok(splice(socket, None, pipe, None, len, SpliceFlags::NONBLOCK)?)
            });
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Moves up to `len` bytes, which `pipe` holds, into the socket without copying them.
    pub(crate) fn poll_splice_from(
        &mut self,
        cx: &mut Context<'_>,
        pipe: BorrowedFd<'_>,
        len: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_write_ready(cx))?;
            let moved = self.try_io(Interest::WRITABLE, |socket| {
                Ok(splice(pipe, None, socket, None, len, SpliceFlags::NONBLOCK)?)
            });
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Sends FIN: this side will write no more. A peer that is gone is no error.
    pub(crate) fn shutdown_write(&self) {
        let _ = rustix::net::shutdown(self, rustix::net::Shutdown::Write);
    }

    /// Whether the peer has neither said anything nor closed since the last read.
    pub(crate) fn is_quiet(&self) -> bool {
        let peeked = self.try_io(Interest::READABLE, |socket| {
            Ok(rustix::net::recv(socket, &mut [0; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT)?)
        });
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Looks at what can be read without taking it; ready when that is more than `seen`
    /// bytes, or nothing more will come. Cancel safe.
    pub(crate) async fn peek(&self, buf: &mut [u8], seen: usize) -> io::Result<usize> {
        loop {
            let ready = match self {
                Self::Tcp(tcp) => tcp.ready(Interest::READABLE).await,
                Self::Unix(unix) => unix.ready(Interest::READABLE).await,
            }?;
            let looked = self.try_io(Interest::READABLE, |socket| {
                let (there, _) = rustix::net::recv(socket, &mut *buf, RecvFlags::PEEK)?;
                // As much as before: the runtime is to wait for the next event.
                if (1..=seen).contains(&there) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(there) }
            });
            match looked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !ready.is_read_closed() => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(seen),
                done => return done,
            }
        }
    }

    /// Whether the peer has sent its FIN or is gone, whatever lies unread before it.
    pub(crate) fn is_closed_by_peer(&self) -> bool {
        is_closed(self.as_fd())
    }

    /// Writes what the socket takes at once of a few last bytes.
    pub(crate) fn say(&self, last: &[u8]) {
        let _ = match self {
            Self::Tcp(tcp) => tcp.try_write(last),
            Self::Unix(unix) => unix.try_write(last),
        };
    }

    /// Reads and drops until the peer has ended. Cancel safe.
    pub(crate) async fn drained(&mut self) {
        let mut room = [0; 4096];
        while self.read(&mut room).await.is_ok_and(|read| read > 0) {}
    }

    /// Ready once the peer has reset the stream, or is gone. Cancel safe.
    pub(crate) async fn broken(&self) {
        let _ = match self {
            Self::Tcp(tcp) => tcp.ready(Interest::ERROR).await,
            Self::Unix(unix) => unix.ready(Interest::ERROR).await,
        };
    }

    /// Closes with RST (a Unix socket has none and is just closed).
    pub(crate) fn reset(self) {
        self.reset_on_close();
    }

    /// Has it say RST when it is closed.
    pub(crate) fn reset_on_close(&self) {
        if let Self::Tcp(tcp) = self {
            let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
        }
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_read_ready(cx),
            Self::Unix(unix) => unix.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_write_ready(cx),
            Self::Unix(unix) => unix.poll_write_ready(cx),
        }
    }

    /// Runs `call` if the socket is ready; its `WouldBlock` clears the readiness.
    fn try_io<T>(
        &self,
        interest: Interest,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Self::Tcp(tcp) => tcp.try_io(interest, || call(tcp.as_fd())),
            Self::Unix(unix) => unix.try_io(interest, || call(unix.as_fd())),
        }
    }
}

/// Whether the peer of that socket has sent its FIN or is gone.
pub(crate) fn is_closed(socket: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&socket, PollFlags::RDHUP)];
    let now = Timespec::default();
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Self::poll_read(&mut self, cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write(&mut self, cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write_vectored(&mut self, cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown_write();
        Poll::Ready(Ok(()))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(tcp) => tcp.as_fd(),
            Self::Unix(unix) => unix.as_fd(),
        }
    }
}
