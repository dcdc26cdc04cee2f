//! The client's side after the handshake: TLS over the leg, with the faults of its end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use sabot_toxics::tls::{TlsFate, TlsStep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::http::leg::{Below, Leg};
use crate::net::timers::monotonic_now;
use crate::relay::ConnShared;

/// A record that is cut off: the head of application data (RFC 8446, section 5.1) and how
/// many bytes it announces.
const TORN_HEAD: [u8; 5] = [23, 3, 3, 4, 0];

/// How many bytes of it come.
const TORN_BODY: usize = 300;

/// A client under TLS.
pub(crate) struct Secured {
    tls: TlsStream<Leg>,
    shared: Arc<ConnShared>,
    below: Arc<Below>,
    /// Of the plan that `fate` is of; 0 before the first.
    version: u64,
    fate: TlsFate,
    /// Bytes of application data that went to the client.
    sent: u64,
    end: End,
}

/// How far the end has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// Bytes of the torn record that are written; then the FIN.
    Tearing(usize),
    Torn,
    /// A FIN alone.
    Bare,
    /// As TLS asks for.
    Proper,
}

impl Secured {
    pub(super) fn new(tls: TlsStream<Leg>, shared: Arc<ConnShared>, below: Arc<Below>) -> Self {
        Self { tls, shared, below, version: 0, fate: TlsFate::default(), sent: 0, end: End::Open }
    }

    /// Whether a fault has cut it off.
    pub(super) fn is_torn(&self) -> bool {
        matches!(self.end, End::Tearing(_) | End::Torn)
    }

    /// Ends what goes to the client without `close_notify`: so it came from the upstream.
    pub(super) fn poll_shutdown_bare(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tls).poll_flush(cx))?;
        Pin::new(self.tls.get_mut().0).poll_shutdown(cx)
    }

    /// What the faults have in store, if that may have changed.
    fn judge(&mut self) {
        let version = self.shared.policy.version();
        let over = self.fate.changes.is_some_and(|changes| changes <= monotonic_now());
        if version == self.version && !over {
            return;
        }
        let (version, plan) = self.shared.policy.plan();
        self.version = version;
        self.fate =
            if plan.has_tls() { plan.tls(&self.shared.key, monotonic_now()) } else { TlsFate::default() };
    }

    fn acted(&self, step: TlsStep) {
        self.fate.at(step).for_each(|entry| self.shared.applied(entry));
    }

    /// How much of `len` bytes may go before a record is torn; none if it is now.
    fn room(&self, len: usize) -> Option<usize> {
        let Some(limit) = self.fate.plan.truncate else { return Some(len) };
        let left = limit.saturating_sub(self.sent);
        (left > 0).then(|| len.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    /// Writes a part of a record, and a FIN.
    fn poll_tear(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tls).poll_flush(cx))?;
        let mut torn = [0x5a; TORN_HEAD.len() + TORN_BODY];
        torn[..TORN_HEAD.len()].copy_from_slice(&TORN_HEAD);
        while let End::Tearing(written) = self.end {
            let leg = Pin::new(self.tls.get_mut().0);
            if written < torn.len() {
                let more = ready!(leg.poll_write(cx, &torn[written..]))?;
                self.end = End::Tearing(written + more);
                if written + more == torn.len() {
                    self.acted(TlsStep::Data);
                }
                continue;
            }
            // What the client still sends must not turn the FIN into a reset.
            self.below.tunnel.store(false, Ordering::Relaxed);
            ready!(leg.poll_shutdown(cx))?;
            self.end = End::Torn;
        }
        Poll::Ready(Ok(()))
    }

    /// Before application data: ready once it may be written, and how much of it.
    fn poll_may_write(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<io::Result<usize>> {
        if self.end == End::Open {
            self.judge();
            match self.room(len) {
                Some(room) => return Poll::Ready(Ok(room)),
                None if len == 0 => return Poll::Ready(Ok(0)),
                None => self.end = End::Tearing(0),
            }
        }
        if self.is_torn() {
            ready!(self.poll_tear(cx))?;
        }
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.tls).poll_read(cx, buf))?;
        self.below.add_plain(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let room = ready!(self.poll_may_write(cx, data.len()))?;
        let written = ready!(Pin::new(&mut self.tls).poll_write(cx, &data[..room]))?;
        self.sent += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let whole = parts.iter().map(|part| part.len()).sum();
        let room = ready!(self.poll_may_write(cx, whole))?;
        let written = if room == whole {
            ready!(Pin::new(&mut self.tls).poll_write_vectored(cx, parts))?
        } else {
            let first: &[u8] = parts.iter().find(|part| !part.is_empty()).map_or(&[], |part| part);
            ready!(Pin::new(&mut self.tls).poll_write(cx, &first[..first.len().min(room)]))?
        };
        self.sent += written as u64;
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_torn() { self.poll_tear(cx) } else { Pin::new(&mut self.tls).poll_flush(cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end == End::Open {
            self.judge();
            self.end = if self.fate.plan.no_close_notify { End::Bare } else { End::Proper };
            if self.end == End::Bare {
                self.acted(TlsStep::Close);
            }
        }
        match self.end {
            End::Bare => self.poll_shutdown_bare(cx),
            End::Proper => Pin::new(&mut self.tls).poll_shutdown(cx),
            _ => self.poll_tear(cx),
        }
    }
}
