//! The client's socket as hyper wants it.
//!
//! While no stream toxic is there, hyper reads and writes the socket itself. When the
//! first one comes, the socket moves into a relay like that of a plain proxy, with all
//! its timing, budgets and ends, and hyper goes on over a pair of Unix sockets: one
//! implementation of the toxics, and nothing to pay without them.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use sabot_toxics::http::BoxFuture;
use sabot_toxics::{Direction, Phase, Time};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use super::undelivered::Undelivered;
use crate::net::stream::is_closed;
use crate::net::timers::monotonic_now;
use crate::net::{Clock, Monotonic, Stream};
use crate::relay::{ConnShared, Reason, relay_for};

/// How long a client has to read the last answer and close too: a socket closed with
/// unread input says RST, and the client may then lose that answer.
const LINGER: Duration = Duration::from_millis(250);

/// Bytes that are read for it: more than the buffers of both ends hold, and no upload that goes on.
const LINGER_BYTES: usize = 16 << 20;

/// Reads of one turn that only drain.
const DRAIN_TURN: usize = 16;

/// What a leg and whoever drives the connection share.
#[derive(Default)]
pub(crate) struct Below {
    /// The relay that has taken the socket, until it is driven.
    relay: Mutex<Option<BoxFuture<Reason>>>,
    /// The protocol has changed: what comes after a FIN of ours is still wanted.
    pub(crate) tunnel: AtomicBool,
    /// Nobody uses the leg any more.
    pub(crate) left: Arc<AtomicBool>,
    /// Answers that the relay has.
    pub(super) undelivered: Undelivered,
    /// When the client's TLS handshake was done, if it speaks TLS.
    secured: OnceLock<Time>,
    /// Bytes that the client sent under TLS, in the clear.
    plain: AtomicU64,
    /// Who reset the tunnel that the connection became.
    broken: OnceLock<Reason>,
}

impl Below {
    /// The relay that is to be driven from now on; once.
    pub(crate) fn take_relay(&self) -> Option<BoxFuture<Reason>> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The TLS handshake was done at that moment.
    pub(crate) fn secured(&self, at: Time) {
        let _ = self.secured.set(at);
    }

    /// When the TLS handshake was done.
    pub(super) fn secured_at(&self) -> Option<Time> {
        self.secured.get().copied()
    }

    /// A side of the tunnel was reset; the first one counts.
    pub(super) fn broke(&self, reason: Reason) {
        let _ = self.broken.set(reason);
    }

    /// Who reset the tunnel, if anybody did.
    pub(super) fn broken(&self) -> Option<Reason> {
        self.broken.get().copied()
    }

    /// Counts what came under TLS.
    pub(crate) fn add_plain(&self, bytes: usize) {
        self.plain.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that came under TLS.
    pub(super) fn plain(&self) -> u64 {
        self.plain.load(Ordering::Relaxed)
    }
}

/// The client's side.
pub(crate) struct Leg {
    way: Way,
    shared: Arc<ConnShared>,
    below: Arc<Below>,
    /// Of the plan that was last looked at; 0 before the first.
    version: u64,
    /// The client has sent its FIN.
    ended: bool,
    /// Once our FIN was sent, until when the client's is waited for.
    linger: Option<(Time, Monotonic)>,
    /// What was read meanwhile.
    drained: usize,
}

enum Way {
    Direct(Stream),
    /// The relay's end of the pair has the client.
    Relayed(UnixStream),
    Gone,
}

impl Leg {
    pub(crate) fn new(client: Stream, shared: Arc<ConnShared>, below: Arc<Below>) -> Self {
        Self { way: Way::Direct(client), shared, below, version: 0, ended: false, linger: None, drained: 0 }
    }

    /// Whether the client has sent its FIN or is gone, whatever it has sent before.
    pub(crate) fn is_closed_by_client(&self) -> bool {
        match &self.way {
            Way::Direct(client) => client.is_closed_by_peer(),
            Way::Relayed(relay) => is_closed(relay.as_fd()),
            Way::Gone => true,
        }
    }

    /// Looks for stream toxics before each use of a direct socket.
    fn look(&mut self) -> io::Result<()> {
        if !matches!(self.way, Way::Direct(_)) || self.shared.policy.version() == self.version {
            return Ok(());
        }
        let (version, plan) = self.shared.policy.plan();
        self.version = version;
        if plan.entries().iter().any(|entry| entry.spec.kind.phase == Phase::Stream) {
            self.move_into_relay()?;
        }
        Ok(())
    }

    fn move_into_relay(&mut self) -> io::Result<()> {
        let (mine, other) = UnixStream::pair()?;
        if let Way::Direct(client) = std::mem::replace(&mut self.way, Way::Gone) {
            let (shared, left) = (Arc::clone(&self.shared), Arc::clone(&self.below.left));
            self.below.undelivered.begin(self.shared.sent(Direction::Downstream));
            let relaying = relay_for(client, Stream::Unix(other), shared, Monotonic::default(), Some(left));
            *self.below.relay.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(relaying));
        }
        self.way = Way::Relayed(mine);
        Ok(())
    }

    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match &mut self.way {
            Way::Direct(client) => {
                ready!(client.poll_read(cx, buf))?;
                self.shared.count(Direction::Upstream, buf.filled().len() - before);
            }
            Way::Relayed(relay) => ready!(Pin::new(relay).poll_read(cx, buf))?,
            Way::Gone => {}
        }
        self.ended |= buf.filled().len() == before && buf.remaining() > 0;
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.look()?;
        match &mut self.way {
            Way::Direct(client) => {
                let written = match parts {
                    [only] => client.poll_write(cx, only),
                    parts => client.poll_write_vectored(cx, parts),
                };
                if let Poll::Ready(Ok(bytes)) = &written {
                    self.shared.count(Direction::Downstream, *bytes);
                }
                written
            }
            Way::Relayed(relay) => {
                let written = Pin::new(relay).poll_write_vectored(cx, parts);
                match &written {
                    Poll::Ready(Ok(bytes)) => self.below.undelivered.write(Some(*bytes)),
                    Poll::Pending => self.below.undelivered.write(None),
                    Poll::Ready(Err(_)) => {}
                }
                written
            }
            Way::Gone => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Reads and drops what still comes; ready at the client's FIN, or when the time or the bytes are used up.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = [0; 4096];
        for _ in 0..DRAIN_TURN {
            let enough = self.drained >= LINGER_BYTES;
            if enough || self.ended || self.below.tunnel.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            let mut read = ReadBuf::new(&mut room);
            match self.read(cx, &mut read) {
                Poll::Ready(Ok(())) => self.drained += read.filled().len(),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return self.poll_patience(cx),
            }
        }
        cx.waker().wake_by_ref();
        self.poll_patience(cx)
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.linger.as_mut().map_or(Poll::Ready(()), |(until, clock)| clock.poll_until(cx, *until))
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        if let Way::Direct(client) = std::mem::replace(&mut self.way, Way::Gone)
            && self.shared.is_reset()
        {
            client.reset();
        }
    }
}

impl AsyncRead for Leg {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.look()?;
        self.read(cx, buf)
    }
}

impl AsyncWrite for Leg {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, &[io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            match &mut self.way {
                Way::Direct(client) => client.shutdown_write(),
                Way::Relayed(relay) => ready!(Pin::new(relay).poll_shutdown(cx))?,
                Way::Gone => {}
            }
            self.linger = Some((monotonic_now() + LINGER, Monotonic::default()));
        }
        self.poll_linger(cx).map(Ok)
    }
}
