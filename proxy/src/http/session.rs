//! One client connection, request by request.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, HOST};
use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sabot_toxics::http::{Answer, Body, BoxFuture, Chain, Fault, Request, RequestKey, Shell};
use sabot_toxics::{Direction, Time};
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::{Down, FromClient, Up, break_off};
use super::forward::{self, Upgrades};
use super::leg::{Below, Leg};
use super::pool::Pool;
use super::shell::FaultShell;
use super::timer::WorkerTimer;
use super::{Error, headers};
use crate::connection::{Context, Failure};
use crate::net::{Address, Clock, Monotonic, Stream};
use crate::proxy::Proxy;
use crate::relay::{ConnShared, Reason, State};
use crate::tls::{self, Originator, Refused, Tls};

/// Bytes of a head, and of what is read ahead of a body.
const BUFFER: usize = 64 * 1024;

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
    pub(super) dial_timeout: Duration,
    pub(super) tls: Option<Arc<Tls>>,
    /// Why the client's TLS came to nothing.
    trouble: Mutex<Option<Failure>>,
    shell: Arc<dyn Shell>,
    below: Arc<Below>,
    /// Whether a request has come.
    begun: AtomicBool,
    /// The tunnel that the connection became, if it changed its protocol.
    tunnel: Mutex<Option<BoxFuture<()>>>,
}

/// Serves a client until the connection has ended. Cancel safe in that dropping it
/// closes both sides.
pub(crate) async fn serve(client: Stream, context: &Context, upstream: Address) -> Result<Reason, Failure> {
    let shared = &context.entered.connection;
    shared.set_state(State::Open);
    let below = Arc::<Below>::default();
    let session = Arc::new(Session {
        pool: context.proxy.pools.of(context.worker),
        shell: Arc::new(FaultShell(Arc::clone(shared))),
        shared: Arc::clone(shared),
        proxy: Arc::clone(&context.proxy),
        upstream,
        dial_timeout: context.dial_timeout,
        tls: context.proxy.tls(),
        trouble: Mutex::default(),
        below: Arc::clone(&below),
        begun: AtomicBool::new(false),
        tunnel: Mutex::default(),
    });
    let leg = Leg::new(client, Arc::clone(shared), below);
    let mut messages = Some(Box::pin(messages(Arc::clone(&session), leg, context.head_timeout)));
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
            Some(relay) => relay.as_mut().poll(cx),
            None if messages.is_none() => Poll::Ready(Reason::Finished),
            None => Poll::Pending,
        }
    })
    .await;
    if let Some(trouble) = session.trouble.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(trouble);
    }
    Ok(if shared.is_reset_by_fault() { Reason::ToxicReset } else { reason })
}

/// Reads requests and answers them, and passes bytes after a change of protocol.
async fn messages(session: Arc<Session>, leg: Leg, head_timeout: Duration) {
    let Some(terminator) = session.tls.as_ref().and_then(|tls| tls.terminate.as_ref()) else {
        return over(session, leg, head_timeout).await;
    };
    match tls::accept(leg, &session.shared, &session.below, terminator).await {
        // Boxed: both are large, and one connection needs only one of them.
        Ok(secured) => Box::pin(over(Arc::clone(&session), secured, head_timeout)).await,
        Err(Refused { reason, error }) => {
            *session.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(Failure { reason, error });
        }
    }
}

async fn over<I>(session: Arc<Session>, io: I, head_timeout: Duration)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
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
    let service = {
        let session = Arc::clone(&session);
        service_fn(move |request| handle(Arc::clone(&session), request))
    };
    let serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
    if let Err(error) = serving.await {
        if is_malformed(&*error) {
            session.proxy.count_malformed();
        }
        let (proxy, connection) = (&session.proxy.name, session.shared.id);
        tracing::debug!(%proxy, connection, error, "connection ended");
    }
    let tunnel = session.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(tunnel) = tunnel {
        tunnel.await;
    }
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

    /// Keeps a tunnel for when hyper has let go of the connection.
    pub(super) fn tunnel(&self, passing: impl Future<Output = ()> + Send + 'static) {
        self.below.tunnel.store(true, Ordering::Relaxed);
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(passing));
    }
}

async fn handle(
    session: Arc<Session>,
    mut request: http::Request<Incoming>,
) -> Result<http::Response<Down>, Error> {
    session.begun.store(true, Ordering::Relaxed);
    let number = session.proxy.next_request();
    let version = request.version();
    if request.headers().get_all(HOST).iter().nth(1).is_some() {
        // RFC 9112, section 3.2: which one would be believed is anyone's guess.
        session.proxy.count_malformed();
        let mut refused = forward::plain(http::StatusCode::BAD_REQUEST, "more than one Host");
        refused.headers_mut().insert(CONNECTION, http::HeaderValue::from_static("close"));
        return Ok(session.toxic(refused, version));
    }
    if request.method() == http::Method::CONNECT {
        return Ok(session.toxic(
            forward::plain(http::StatusCode::METHOD_NOT_ALLOWED, "CONNECT is not supported"),
            version,
        ));
    }
    let upgrades = headers::upgrade(request.headers())
        .filter(|_| version == http::Version::HTTP_11)
        .map(|protocol| Upgrades { protocol, client: hyper::upgrade::on(&mut request) });
    let (head, body) = request.into_parts();
    let (_, plan) = session.shared.policy.plan();
    let chain = plan.has_http().then(|| {
        let key =
            RequestKey { number, client: session.shared.key.client, seed: session.shared.key.seed.clone() };
        let (session, upgrades) = (Arc::clone(&session), Mutex::new(upgrades.clone()));
        let shell = Arc::clone(&session.shell);
        Chain::new(&plan, &key, &head, &shell, move |request| {
            let upgrades = upgrades.lock().unwrap_or_else(PoisonError::into_inner).take();
            through(Arc::clone(&session), request, upgrades)
        })
    });
    let Some(chain) = chain.flatten() else {
        let request = http::Request::from_parts(head, Up::new_client(body));
        return match forward::forward(&session, request, upgrades, false).await {
            Ok(response) => Ok(response.map(|body| Down::upstream(body, &session.shared, version))),
            Err(fault) => session.answer(Err(fault), version),
        };
    };
    let request = Request::from_parts(head, Body::new(FromClient(body)));
    let answer = chain.run(request).await;
    session.answer(answer, version)
}

/// The way of a request that a fault has touched.
fn through(session: Arc<Session>, request: Request, upgrades: Option<Upgrades>) -> BoxFuture<Answer> {
    Box::pin(async move {
        let request = request.map(Up::new_toxic);
        let response = forward::forward(&session, request, upgrades, true).await?;
        Ok(response.map(Body::new))
    })
}

impl Session {
    fn answer(&self, answer: Answer, version: http::Version) -> Result<http::Response<Down>, Error> {
        match answer {
            Ok(response) => Ok(self.toxic(response, version)),
            Err(Fault::Upstream { reason, message }) => {
                self.proxy.failed.count(reason);
                Ok(self.toxic(forward::failed(reason, &message), version))
            }
            Err(fault) => Err(break_off(fault, &self.shared, version)),
        }
    }

    fn toxic(&self, response: http::Response<Body>, version: http::Version) -> http::Response<Down> {
        response.map(|body| Down::toxic(body, &self.shared, version))
    }
}
