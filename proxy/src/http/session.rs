//! One client connection, request by request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sabot_toxics::http::{Answer, Body, BoxFuture, Chain, Fault, Request, RequestKey, Shell};
use tokio::task::JoinHandle;

use super::body::{Down, FromClient, Up, break_off};
use super::forward::{self, Upgrades};
use super::leg::Leg;
use super::pool::Pool;
use super::shell::FaultShell;
use super::timer::WorkerTimer;
use super::{Error, headers};
use crate::net::workers::WorkerId;
use crate::net::{Address, Stream};
use crate::proxy::Proxy;
use crate::relay::{ConnShared, Reason, State};

/// How long a head may take to come: a client that sends a byte now and then must not
/// hold a connection for ever.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// Bytes of a head, and of what is read ahead of a body.
const BUFFER: usize = 64 * 1024;

/// Requests of one HTTP/2 connection that may be in flight.
const STREAMS: u32 = 256;

/// What the requests of one client connection share.
pub(super) struct Session {
    pub(super) proxy: Arc<Proxy>,
    pub(super) shared: Arc<ConnShared>,
    pub(super) pool: Arc<Pool>,
    pub(super) upstream: Address,
    pub(super) dial_timeout: Duration,
    shell: Arc<dyn Shell>,
    /// The tunnel that the connection became, if it changed its protocol.
    tunnel: Mutex<Option<Tunnel>>,
}

/// Serves a client until the connection has ended. Cancel safe in that dropping it
/// closes both sides.
pub(crate) async fn serve(
    client: Stream,
    shared: Arc<ConnShared>,
    proxy: Arc<Proxy>,
    worker: WorkerId,
    upstream: Address,
    dial_timeout: Duration,
) -> Reason {
    shared.set_state(State::Open);
    let session = Arc::new(Session {
        pool: proxy.pools.of(worker),
        shell: Arc::new(FaultShell(Arc::clone(&shared))),
        shared: Arc::clone(&shared),
        proxy,
        upstream,
        dial_timeout,
        tunnel: Mutex::default(),
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(WorkerTimer)
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(BUFFER)
        .preserve_header_case(true)
        .http2()
        .timer(WorkerTimer)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(BUFFER as u32);
    let service = {
        let session = Arc::clone(&session);
        service_fn(move |request| handle(Arc::clone(&session), request))
    };
    let io = TokioIo::new(Leg::new(client, Arc::clone(&shared)));
    let served = builder.serve_connection_with_upgrades(io, service).await;
    if let Err(error) = &served {
        tracing::debug!(proxy = %session.proxy.name, connection = shared.id, %error, "connection ended");
    }
    let tunnel = session.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut tunnel) = tunnel {
        let _ = (&mut tunnel.0).await;
    }
    if shared.is_reset() {
        Reason::ToxicReset
    } else if shared.is_killed() {
        Reason::Killed
    } else {
        Reason::Finished
    }
}

impl Session {
    /// Keeps a tunnel alive for as long as the connection is served.
    pub(super) fn tunnel(&self, task: JoinHandle<()>) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Tunnel(task));
    }
}

/// A task that ends with whoever waits for it.
struct Tunnel(JoinHandle<()>);

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn handle(
    session: Arc<Session>,
    mut request: http::Request<Incoming>,
) -> Result<http::Response<Down>, Error> {
    let number = session.proxy.next_request();
    let version = request.version();
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
            Ok(response) => Ok(response.map(Down::Upstream)),
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
        let shared = Arc::clone(&self.shared);
        response.map(|body| Down::Toxic(body, shared, version))
    }
}
