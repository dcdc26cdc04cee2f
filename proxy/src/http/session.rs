//! One client connection, request by request.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, HOST};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sabot_toxics::Direction;
use sabot_toxics::http::{Answer, Body, BoxFuture, Chain, Fault, GoAway, Request, RequestKey, Shell};

use super::body::{Down, FromClient, Up, break_off};
use super::forward::{self, Upgrades};
use super::goaway::{Goodbye, Streams};
use super::leg::{Below, Leg};
use super::pool::Pool;
use super::shell::FaultShell;
use super::timer::WorkerTimer;
use super::{Error, headers};
use crate::connection::Context;
use crate::net::{Address, Clock, Monotonic, Stream};
use crate::proxy::Proxy;
use crate::relay::{ConnShared, Reason, State};

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
    shell: Arc<dyn Shell>,
    below: Arc<Below>,
    streams: Arc<Streams>,
    /// The connection is to end when the requests in flight are done.
    leaving: AtomicBool,
    /// Whether a request has come.
    begun: AtomicBool,
    /// The tunnel that the connection became, if it changed its protocol.
    tunnel: Mutex<Option<BoxFuture<()>>>,
}

/// Serves a client until the connection has ended. Cancel safe in that dropping it
/// closes both sides.
pub(crate) async fn serve(client: Stream, context: &Context, upstream: Address) -> Reason {
    let shared = &context.entered.connection;
    shared.set_state(State::Open);
    let below = Arc::<Below>::default();
    let session = Arc::new(Session {
        pool: context.proxy.pools.of(context.worker),
        shell: Arc::new(FaultShell::new(Arc::clone(shared), Arc::clone(&context.proxy.fault_room))),
        shared: Arc::clone(shared),
        proxy: Arc::clone(&context.proxy),
        upstream,
        dial_timeout: context.dial_timeout,
        below: Arc::clone(&below),
        streams: Arc::default(),
        leaving: AtomicBool::new(false),
        begun: AtomicBool::new(false),
        tunnel: Mutex::default(),
    });
    let leg = Leg::new(client, Arc::clone(shared), below);
    let mut messages = Some(Box::pin(messages(Arc::clone(&session), leg, context.head_timeout)));
    let mut relaying: Option<BoxFuture<Reason>> = None;
    let mut patience = Some(Monotonic::default());
    let give_up = shared.opened + context.head_timeout;
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
        if patience.as_mut().is_some_and(|clock| clock.poll_until(cx, give_up).is_ready()) {
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
    if shared.is_reset_by_fault() { Reason::ToxicReset } else { reason }
}

/// Reads requests and answers them, and passes bytes after a change of protocol.
async fn messages(session: Arc<Session>, leg: Leg, head_timeout: Duration) {
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
        service_fn(move |request: http::Request<Incoming>| {
            let two = request.version() == http::Version::HTTP_2;
            let stream = if two { session.streams.next() } else { None };
            handle(Arc::clone(&session), request, stream)
        })
    };
    let io = TokioIo::new(Goodbye::new(leg, Arc::clone(&session.streams)));
    let mut serving = pin!(builder.serve_connection_with_upgrades(io, service));
    let serving = poll_fn(|cx| {
        if session.leaving.swap(false, Ordering::Relaxed) {
            serving.as_mut().graceful_shutdown();
        }
        serving.as_mut().poll(cx)
    });
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
        self.begun.load(Ordering::Relaxed) || self.shared.received(Direction::Upstream) >= PREFACE
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
    stream: Option<u32>,
) -> Result<http::Response<Down>, Error> {
    session.begun.store(true, Ordering::Relaxed);
    if stream.is_some_and(|stream| !session.streams.take_up(stream)) {
        // The client was told so, and the connection is about to end.
        return std::future::pending().await;
    }
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
            Err(fault) => session.answer(Err(fault), version, stream),
        };
    };
    let request = Request::from_parts(head, Body::new(FromClient(body)));
    let answer = chain.run(request).await;
    if let Err(Fault::GoAway(code)) = answer
        && let Some(stream) = stream
    {
        session.streams.leave_before(stream, code);
        session.shared.wake();
        return std::future::pending().await;
    }
    session.answer(answer, version, stream)
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
    fn answer(
        &self,
        answer: Answer,
        version: http::Version,
        stream: Option<u32>,
    ) -> Result<http::Response<Down>, Error> {
        match answer {
            Ok(mut response) => {
                if let Some(GoAway(code)) = response.extensions_mut().remove() {
                    self.leave(&mut response, code, version, stream);
                }
                Ok(self.toxic(response, version))
            }
            Err(Fault::Upstream { reason, message }) => {
                self.proxy.failed.count(reason);
                Ok(self.toxic(forward::failed(reason, &message), version))
            }
            Err(fault) => Err(break_off(fault, &self.shared, version)),
        }
    }

    /// Has the connection end with that answer.
    fn leave(
        &self,
        answer: &mut http::Response<Body>,
        code: u32,
        version: http::Version,
        stream: Option<u32>,
    ) {
        if version != http::Version::HTTP_2 {
            answer.headers_mut().insert(CONNECTION, http::HeaderValue::from_static("close"));
            return;
        }
        match stream.filter(|_| code != 0) {
            Some(stream) => self.streams.leave_after(stream, code),
            None => self.leaving.store(true, Ordering::Relaxed),
        }
        self.shared.wake();
    }

    fn toxic(&self, response: http::Response<Body>, version: http::Version) -> http::Response<Down> {
        response.map(|body| Down::toxic(body, &self.shared, version))
    }
}
