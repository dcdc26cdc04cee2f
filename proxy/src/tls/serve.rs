//! A plain connection with TLS on the client's side, the upstream's or both.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as Cx, Poll, ready};

use sabot_toxics::http::BoxFuture;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::copy::{Ended, Side, both};
use super::originate::{FarIo, Unsecured};
use super::secured::Secured;
use super::{Tls, handshake};
use crate::connection::{Context, Failure, dial_reason};
use crate::http::leg::{Below, Leg};
use crate::metrics;
use crate::net::timers::{monotonic_now, within};
use crate::net::{Address, Monotonic, Stream, dial};
use crate::relay::{ConnShared, Reason, State};

/// Serves a client until the connection has ended. Cancel safe in that dropping it
/// closes both sides.
pub(crate) async fn serve(
    client: Stream,
    context: &Context,
    tls: &Tls,
    upstream: &Address,
) -> Result<Reason, Failure> {
    let shared = &context.entered.connection;
    let below = Arc::<Below>::default();
    // A half-closed connection goes on in the other direction.
    below.tunnel.store(true, Ordering::Relaxed);
    let leg = Leg::new(client, Arc::clone(shared), Arc::clone(&below));
    let mut work = Some(Box::pin(pass(leg, &below, context, tls, upstream)));
    let mut outcome = Ok(Reason::Finished);
    let mut relaying: Option<BoxFuture<Reason>> = None;
    poll_fn(|cx| {
        shared.register(cx.waker());
        if shared.is_killed() && relaying.is_none() {
            return Poll::Ready(Ok(Reason::Killed));
        }
        if let Some(passing) = &mut work
            && let Poll::Ready(done) = passing.as_mut().poll(cx)
        {
            outcome = done;
            work = None;
            below.left.store(true, Ordering::Relaxed);
        }
        relaying = relaying.take().or_else(|| below.take_relay());
        if let Some(relay) = &mut relaying {
            let reason = ready!(relay.as_mut().poll(cx));
            relaying = None;
            if matches!(reason, Reason::ClientReset | Reason::ToxicReset) {
                // So that the upstream has its reset too, when `work` is dropped.
                shared.reset();
            }
            // What the client sent last may not have reached the upstream yet.
            if work.is_some() && reason != Reason::Finished {
                return Poll::Ready(Ok(reason));
            }
        }
        if work.is_some() {
            return Poll::Pending;
        }
        Poll::Ready(std::mem::replace(&mut outcome, Ok(Reason::Finished)))
    })
    .await
}

async fn pass(
    leg: Leg,
    below: &Arc<Below>,
    context: &Context,
    tls: &Tls,
    upstream: &Address,
) -> Result<Reason, Failure> {
    let shared = &context.entered.connection;
    let mut near = match &tls.terminate {
        None => Near::Plain(leg),
        Some(terminator) => match handshake::accept(leg, shared, below, terminator).await {
            Ok(secured) => Near::Tls(Box::new(secured)),
            Err(refused) => return Err(Failure { reason: refused.reason, error: refused.error }),
        },
    };
    shared.set_state(State::Dialing);
    let began = monotonic_now();
    let dialling = async {
        match &tls.originate {
            None => dial(upstream).await.map(FarIo::Plain).map_err(Unsecured::Dial),
            Some(originator) => originator.dial(upstream, None).await.map(|tls| FarIo::Tls(Box::new(tls))),
        }
    };
    let io = match within(&mut Monotonic::default(), began + context.dial_timeout, pin!(dialling)).await {
        Some(Ok(io)) => io,
        Some(Err(Unsecured::Dial(error))) => {
            return Err(Failure { reason: dial_reason(&error), error: Some(error.to_string()) });
        }
        Some(Err(Unsecured::Tls(error))) => {
            return Err(Failure { reason: "upstream_tls", error: Some(error.to_string()) });
        }
        None => return Err(Failure::new("timeout")),
    };
    metrics::dialled(&context.proxy.name, monotonic_now().saturating_since(began));
    shared.set_state(State::Open);
    let mut far = Far { io: Some(io), shared: Arc::clone(shared), reset: false };
    let Some(io) = &mut far.io else { return Ok(Reason::Finished) };
    Ok(match both(&mut near, io).await {
        Ended::Finished => Reason::Finished,
        _ if near.is_torn() => Reason::ToxicClosed,
        Ended::ClientTls => {
            far.reset = true;
            // A reset would take the alert back.
            below.tunnel.store(false, Ordering::Relaxed);
            let give_up = monotonic_now() + handshake::HANDSHAKE_LIMIT;
            let _ = within(&mut Monotonic::default(), give_up, near.shutdown()).await;
            Reason::ClientReset
        }
        broken => {
            shared.reset();
            if broken == Ended::Client { Reason::ClientReset } else { Reason::UpstreamReset }
        }
    })
}

/// The upstream's side. Dropped, it ends as the connection did.
struct Far {
    io: Option<FarIo>,
    shared: Arc<ConnShared>,
    /// Whether it gets an RST, though the client does not.
    reset: bool,
}

impl Drop for Far {
    fn drop(&mut self) {
        if let Some(io) = self.io.take()
            && (self.reset || self.shared.is_reset())
        {
            io.reset();
        }
    }
}

/// The client's side.
enum Near {
    Plain(Leg),
    Tls(Box<Secured>),
}

impl Near {
    fn is_torn(&self) -> bool {
        matches!(self, Self::Tls(secured) if secured.is_torn())
    }

    fn io(self: Pin<&mut Self>) -> Pin<&mut dyn Both> {
        match self.get_mut() {
            Self::Plain(leg) => Pin::new(leg),
            Self::Tls(secured) => Pin::new(&mut **secured),
        }
    }
}

trait Both: tokio::io::AsyncRead + AsyncWrite + Unpin {}

impl<T: tokio::io::AsyncRead + AsyncWrite + Unpin> Both for T {}

impl tokio::io::AsyncRead for Near {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Cx<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read(cx, buf)
    }
}

impl AsyncWrite for Near {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Cx<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }
}

impl Side for Near {
    fn poll_end(&mut self, cx: &mut Cx<'_>, torn: bool) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(secured) if torn => secured.poll_shutdown_bare(cx),
            near => Pin::new(near).poll_shutdown(cx),
        }
    }
}

impl Side for FarIo {
    fn poll_end(&mut self, cx: &mut Cx<'_>, torn: bool) -> Poll<io::Result<()>> {
        if torn {
            ready!(Pin::new(&mut *self).poll_flush(cx))?;
            self.shutdown_bare();
            return Poll::Ready(Ok(()));
        }
        Pin::new(self).poll_shutdown(cx)
    }
}
