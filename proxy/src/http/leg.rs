//! The client's socket as hyper wants it.
//!
//! While no stream toxic is there, hyper reads and writes the socket itself. When the
//! first one comes, the socket moves into a relay like that of a plain proxy, with all
//! its timing, budgets and ends, and hyper goes on over a pair of Unix sockets: one
//! implementation of the toxics, and nothing to pay without them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sabot_toxics::{Direction, Phase};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::net::{Monotonic, Stream};
use crate::relay::{ConnShared, relay};

/// The client's side.
pub(super) struct Leg {
    way: Way,
    shared: Arc<ConnShared>,
    /// Of the plan that was last looked at; 0 before the first.
    version: u64,
    /// The task that `shared` wakes.
    registered: Option<Waker>,
}

enum Way {
    Direct(Stream),
    /// The relay's end of the pair has the client.
    Relayed(UnixStream),
    Gone,
}

impl Leg {
    pub(super) fn new(client: Stream, shared: Arc<ConnShared>) -> Self {
        Self { way: Way::Direct(client), shared, version: 0, registered: None }
    }

    /// Looks for a kill and for stream toxics before each use of a direct socket.
    fn look(&mut self, cx: &Context<'_>) -> io::Result<()> {
        if !matches!(self.way, Way::Direct(_)) {
            return Ok(());
        }
        if !self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.shared.register(cx.waker());
            self.registered = Some(cx.waker().clone());
        }
        if self.shared.is_killed() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if self.shared.policy.version() == self.version {
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
            let relaying = relay(client, Stream::Unix(other), Arc::clone(&self.shared), Monotonic::default());
            tokio::spawn(relaying);
        }
        self.way = Way::Relayed(mine);
        Ok(())
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
        let leg = &mut *self;
        leg.look(cx)?;
        match &mut leg.way {
            Way::Direct(client) => {
                let before = buf.filled().len();
                let polled = client.poll_read(cx, buf);
                leg.shared.count(Direction::Upstream, buf.filled().len() - before);
                polled
            }
            Way::Relayed(relay) => Pin::new(relay).poll_read(cx, buf),
            Way::Gone => Poll::Ready(Ok(())),
        }
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
        match &mut self.way {
            Way::Direct(client) => {
                client.shutdown_write();
                Poll::Ready(Ok(()))
            }
            Way::Relayed(relay) => Pin::new(relay).poll_shutdown(cx),
            Way::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl Leg {
    fn write(&mut self, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.look(cx)?;
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
            Way::Relayed(relay) => Pin::new(relay).poll_write_vectored(cx, parts),
            Way::Gone => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}
