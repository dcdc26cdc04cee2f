//! One client connection: how it is driven, and what it may become. What is done with a
//! request stands in [`request`](super::request).

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sabot_toxics::http::{Body, BoxFuture, Connection};
use sabot_toxics::{Direction, Time};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Error;
use super::body::Down;
use super::goaway::{Goodbye, Streams};
use super::h2c;
use super::leg::{Below, Leg};
use super::onward::Changes;
use super::plain::{self, After};
use super::pool::Pool;
use super::request::take;
use super::timer::WorkerTimer;
use super::tunnel;
use super::unread::Unread;
use crate::connection::{Context, Failure};
use crate::net::timers::{monotonic_now, within};
use crate::net::{Address, Clock, Monotonic, Stream};
use crate::proxy::Proxy;
use crate::relay::{ConnShared, Reason, State};
use crate::tls::{self, Originator, Refused, Tls};

/// Bytes of a head, and of what is read ahead of a body.
pub(super) const BUFFER: usize = 64 * 1024;

/// Requests of one HTTP/2 connection that may be in flight.
const STREAMS: u32 = 256;

/// Bytes that tell HTTP/2 from HTTP/1 (RFC 9113, section 3.4).
const PREFACE: u64 = 24;

/// What the requests of one client connection share.
pub(super) struct Session {
    pub(super) proxy: Arc<Proxy>,
    pub(super) shared: Arc<ConnShared>,
    pub(super) pool: Arc<Pool>,
    pub(super) upstream: Address,
    /// What becomes of the heads of requests.
    pub(super) changes: Changes,
    pub(super) dial_timeout: Duration,
    pub(super) head_timeout: Duration,
    pub(super) tls: Option<Arc<Tls>>,
    /// Why the client's TLS came to nothing.
    trouble: Mutex<Option<Failure>>,
    pub(super) below: Arc<Below>,
    /// What the faults remember of the connection.
    pub(super) connection: Arc<Connection>,
    pub(super) streams: Arc<Streams>,
    /// The connection is to end when the requests in flight are done.
    pub(super) leaving: AtomicBool,
    /// Whether a request has come.
    begun: AtomicBool,
    /// The tunnel that the connection became, if it changed its protocol.
    tunnel: Mutex<Option<BoxFuture<()>>>,
}

/// A client connection, until it is dropped.
struct Open {
    below: Arc<Below>,
    shared: Arc<ConnShared>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.below.undelivered.sent(self.shared.sent(Direction::Downstream));
        self.below.undelivered.close();
    }
}

/// Serves a client until the connection has ended. Cancel safe in that dropping it
/// closes both sides.
pub(crate) async fn serve(client: Stream, context: &Context, upstream: Address) -> Result<Reason, Failure> {
    let shared = &context.entered.connection;
    shared.set_state(State::Open);
    let below = Arc::<Below>::default();
    let session = Arc::new(Session {
        pool: context.proxy.pools.of(context.worker),
        connection: Arc::default(),
        shared: Arc::clone(shared),
        proxy: Arc::clone(&context.proxy),
        upstream,
        changes: context.proxy.onward.of(shared.client),
        dial_timeout: context.dial_timeout,
        head_timeout: context.head_timeout,
        tls: context.proxy.tls(),
        trouble: Mutex::default(),
        below: Arc::clone(&below),
        streams: Arc::default(),
        leaving: AtomicBool::new(false),
        begun: AtomicBool::new(false),
        tunnel: Mutex::default(),
    });
    // Dropped after all that can still write: what is left then is lost.
    let _open = Open { below: Arc::clone(&below), shared: Arc::clone(shared) };
    let leg = Leg::new(client, Arc::clone(shared), below);
    let mut messages = Some(Box::pin(messages(Arc::clone(&session), leg)));
    let mut relaying: Option<BoxFuture<Reason>> = None;
    let mut patience = Some(Monotonic::default());
    // One task: what ends the connection ends all of it, whatever it waits for.
    let reason = poll_fn(|cx| {
        shared.register(cx.waker());
        if shared.is_killed() && relaying.is_none() {
            return Poll::Ready(Reason::Killed);
        }
        if let Some(serving) = &mut messages
            && serving.as_mut().poll(cx).is_ready()
        {
            messages = None;
            session.below.left.store(true, Ordering::Relaxed);
        }
        if session.has_begun() || messages.is_none() {
            patience = None;
        }
        let since = session.patience_since();
        if let (Some(clock), Some(since)) = (&mut patience, since)
            && clock.poll_until(cx, since + context.head_timeout).is_ready()
        {
            return Poll::Ready(Reason::Finished);
        }
        relaying = relaying.take().or_else(|| session.below.take_relay());
        match &mut relaying {
            Some(relay) => {
                session.below.undelivered.flushed(messages.is_none());
                let relayed = relay.as_mut().poll(cx);
                session.below.undelivered.sent(shared.sent(Direction::Downstream));
                relayed
            }
            None if messages.is_none() => Poll::Ready(Reason::Finished),
            None => Poll::Pending,
        }
    })
    .await;
    if let Some(trouble) = session.trouble.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(trouble);
    }
    let reason = match session.below.broken() {
        Some(broken) => broken,
        None if shared.is_reset_by_fault() => Reason::ToxicReset,
        None => reason,
    };
    if matches!(reason, Reason::ClientReset | Reason::ToxicReset) {
        // Beneath a stream toxic it is the relay that hears of it, and an upstream may be tied.
        shared.reset();
    }
    Ok(reason)
}

/// Reads requests and answers them, and passes bytes after a change of protocol.
async fn messages(session: Arc<Session>, leg: Leg) {
    let Some(terminator) = session.tls.as_ref().and_then(|tls| tls.terminate.as_ref()) else {
        return over(session, leg).await;
    };
    match tls::accept(leg, &session.shared, &session.below, terminator).await {
        // Boxed: both are large, and one connection needs only one of them.
        Ok(secured) => Box::pin(over(Arc::clone(&session), secured)).await,
        Err(Refused { reason, error }) => {
            *session.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(Failure { reason, error });
        }
    }
}

async fn over<I>(session: Arc<Session>, mut io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let After::Other(read) = plain::serve(&session, &mut io).await else { return };
    let io = Goodbye::new(Unread::new(read, io), Arc::clone(&session.streams));
    let service = service_fn(|request| take(&session, request));
    let builder = builder(session.head_timeout);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    driven(&session, connection, auto::UpgradeableConnection::graceful_shutdown).await;
    let tunnel = session.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(tunnel) = tunnel {
        tunnel.await;
    }
}

fn builder(head_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(WorkerTimer)
        // A client that sends a byte now and then must not hold a connection for ever.
        .header_read_timeout(head_timeout)
        .max_buf_size(BUFFER)
        .preserve_header_case(true)
        // What the upstream does not say is not said.
        .auto_date_header(false)
        .http2()
        .timer(WorkerTimer)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(BUFFER as u32)
        .auto_date_header(false);
    builder
}

/// Drives a connection to its end, a graceful one if the session or the client is to be
/// left.
async fn driven<C>(session: &Session, connection: C, leave: fn(Pin<&mut C>))
where
    C: Future<Output = Result<(), Error>>,
{
    let mut connection = pin!(connection);
    let mut told = false;
    let result = poll_fn(|cx| {
        if session.leaving.swap(false, Ordering::Relaxed) {
            leave(connection.as_mut());
        }
        let polled = connection.as_mut().poll(cx);
        // Not before it has seen what came until now: a request among it is answered.
        if polled.is_pending() && !told && session.shared.is_leaving() {
            told = true;
            leave(connection.as_mut());
            return connection.as_mut().poll(cx);
        }
        polled
    });
    let Err(error) = result.await else { return };
    if is_malformed(&*error) {
        session.proxy.count_malformed();
    }
    let (proxy, connection) = (&session.proxy.name, session.shared.id);
    tracing::debug!(%proxy, connection, error, "connection ended");
}

/// Goes on over HTTP/2, with `first` as the frame of the first request.
pub(super) fn to_http2(
    session: &Arc<Session>,
    request: &mut http::Request<Incoming>,
    first: Bytes,
) -> http::Response<Down> {
    let (asked, client) = (Arc::downgrade(session), hyper::upgrade::on(request));
    let serving = async move {
        // A session that held itself would never end.
        let (Some(session), Ok(client)) = (asked.upgrade(), client.await) else { return };
        let give_up = monotonic_now() + session.head_timeout;
        let joining = h2c::join(TokioIo::new(client), &first);
        let io = match within(&mut Monotonic::default(), give_up, joining).await {
            Some(Ok(io)) => Goodbye::new(io, Arc::clone(&session.streams)),
            Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return session.proxy.count_malformed();
            }
            _ => return,
        };
        let service = service_fn(|request| take(&session, request));
        let builder = builder(session.head_timeout).http2_only();
        // With upgrades hyper-util looks for either version, whatever it was told.
        let connection = builder.serve_connection(TokioIo::new(io), service);
        driven(&session, connection, auto::Connection::graceful_shutdown).await;
    };
    *session.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(serving));
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, http::HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, http::HeaderValue::from_static("h2c"));
    // No request of its own: that comes again as one of HTTP/2.
    response.map(|body| Down::toxic(body, &session.shared, http::Version::HTTP_11, None))
}

/// Whether the client sent what is no HTTP.
fn is_malformed(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(error) = source {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
            || error.downcast_ref::<h2::Error>().is_some_and(h2::Error::is_library)
        {
            return true;
        }
        source = error.source();
    }
    false
}

impl Session {
    /// A request has come.
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Whether the client has said anything that takes part in HTTP.
    fn has_begun(&self) -> bool {
        let received = match self.is_terminating() {
            true => self.below.plain(),
            false => self.shared.received(Direction::Upstream),
        };
        self.begun.load(Ordering::Relaxed) || received >= PREFACE
    }

    /// What speaks TLS to the upstream, if anything does.
    pub(super) fn originator(&self) -> Option<&Originator> {
        self.tls.as_ref().and_then(|tls| tls.originate.as_deref())
    }

    /// Where TLS begins or ends here, what is said of it to an HTTP/2 upstream must fit
    /// the connection (RFC 9113, section 8.3.1).
    pub(super) fn set_scheme(&self, uri: &mut http::Uri) {
        let Some(tls) = &self.tls else { return };
        let scheme = if tls.originate.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        let mut parts = std::mem::take(uri).into_parts();
        parts.scheme = parts.authority.is_some().then_some(scheme);
        // They were the parts of one before.
        *uri = http::Uri::from_parts(parts).unwrap_or_default();
    }

    /// Since when the client could have said something; a TLS handshake has limits of its own.
    fn patience_since(&self) -> Option<Time> {
        if self.is_terminating() { self.below.secured_at() } else { Some(self.shared.opened) }
    }

    fn is_terminating(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.terminate.is_some())
    }

    /// Whose a tunnel would be.
    pub(super) fn tunnel_of(&self) -> tunnel::Of {
        tunnel::Of { shared: Arc::clone(&self.shared), below: Arc::clone(&self.below) }
    }

    /// Keeps a tunnel for when hyper has let go of the connection.
    pub(super) fn tunnel(&self, passing: impl Future<Output = ()> + Send + 'static) {
        self.below.tunnel.store(true, Ordering::Relaxed);
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(passing));
    }
}
