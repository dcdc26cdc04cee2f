//! A connection's bytes, watched: when the first of a request went out, whether any came back.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::timer::{Nanos, now};

/// What is known of a connection's bytes.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Requests that wait for their first byte to be handed to the system.
    waiting: RefCell<Vec<Rc<Cell<Option<Nanos>>>>>,
    reads: Cell<u64>,
}

impl Marks {
    /// Stamps `sent` when the next bytes are handed to the system.
    pub(crate) fn stamp(&self, sent: &Rc<Cell<Option<Nanos>>>) {
        self.waiting.borrow_mut().push(Rc::clone(sent));
    }

    /// Takes back what [`Self::stamp`] asked, for a request that was given up.
    pub(crate) fn forget(&self, sent: &Rc<Cell<Option<Nanos>>>) {
        self.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, sent));
    }

    /// How often bytes came in.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.get()
    }

    fn written(&self) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.is_empty() {
            let now = Some(now());
            waiting.drain(..).for_each(|sent| sent.set(now));
        }
    }
}

/// A TCP connection whose bytes are watched.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(super) tcp: TcpStream,
    pub(super) marks: Rc<Marks>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.marks.reads.set(self.marks.reads.get() + 1);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.tcp).poll_write(cx, buf))?;
        self.marks.written();
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs))?;
        self.marks.written();
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// A connection, with TLS or without.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
}

impl Stream {
    /// What is known of its bytes.
    pub(crate) fn marks(&self) -> Rc<Marks> {
        match self {
            Self::Plain(wire) => Rc::clone(&wire.marks),
            Self::Tls(tls) => Rc::clone(&tls.get_ref().0.marks),
        }
    }

    /// Whether it is open and nothing unasked came: what a connection at rest should be. Costs no
    /// system call as long as the runtime has seen nothing come.
    pub(crate) fn is_quiet(&self) -> bool {
        let (tcp, tls) = match self {
            Self::Plain(wire) => (&wire.tcp, false),
            Self::Tls(tls) => (&tls.get_ref().0.tcp, true),
        };
        let peek = || socket2::SockRef::from(tcp).peek(&mut [MaybeUninit::uninit(); 1]);
        match tcp.try_io(Interest::READABLE, peek) {
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            // Under TLS it may be a ticket for a session.
            Ok(count) => tls && count > 0,
        }
    }

    /// Whether TLS agreed on HTTP/2.
    pub(crate) fn chose_h2(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2"))
    }
}

macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain(plain) => {
                let $stream = Pin::new(plain);
                $call
            }
            Stream::Tls(tls) => {
                let $stream = Pin::new(tls.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_shutdown(cx))
    }
}
