//! A connection from accept to end: the connect phase here, the rest in `relay`.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustix::io::Errno;
use sabot_toxics::{ConnectPlan, Dial, Time};
use tokio::io::ReadBuf;

use crate::event::What;
use crate::http;
use crate::metrics;
use crate::model::Protocol;
use crate::net::timers::{monotonic_now, within};
use crate::net::workers::WorkerId;
use crate::net::{Accepted, Address, AddressError, Clock, Monotonic, Stream, dial};
use crate::proxy::Proxy;
use crate::registry::Entered;
use crate::relay::{ConnShared, Reason, State, relay};
use crate::tls::{self, Tls};

/// What a connection needs to know.
pub(crate) struct Context {
    pub(crate) entered: Entered,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) upstream: Result<Address, AddressError>,
    pub(crate) dial_timeout: Duration,
    /// How long the head of an HTTP request may take to come.
    pub(crate) head_timeout: Duration,
    /// The worker that it lives on.
    pub(crate) worker: WorkerId,
}

/// Why a connection never reached its upstream.
pub(crate) struct Failure {
    pub(crate) reason: &'static str,
    pub(crate) error: Option<String>,
}

impl Failure {
    pub(crate) fn new(reason: &'static str) -> Self {
        Self { reason, error: None }
    }
}

/// Runs a connection to its end.
pub(crate) async fn run(accepted: Accepted, context: Context) {
    let shared = Arc::clone(&context.entered.connection);
    context.proxy.events.tell(|| What::ConnectionOpened {
        connection: shared.id,
        number: shared.key.number,
        client: client(&shared),
        upstream: shared.upstream.to_string(),
    });
    // Boxed: dialling needs more room than relaying, and is over after a moment.
    let reached = Box::pin(reach(accepted, &context, &shared)).await;
    match reached {
        Ok(Reached::Both(client, upstream)) => {
            let reason = relay(client, upstream, Arc::clone(&shared), Monotonic::default()).await;
            context.closed(reason);
        }
        Ok(Reached::Client(client, upstream)) => {
            // Boxed: a plain connection need not make room for all of hyper.
            match Box::pin(http::serve(client, &context, upstream)).await {
                Ok(reason) => context.closed(reason),
                Err(failure) => context.failed(failure),
            }
        }
        Ok(Reached::Secured(client, tls, upstream)) => {
            match Box::pin(tls::serve(client, &context, &tls, &upstream)).await {
                Ok(reason) => context.closed(reason),
                Err(failure) => context.failed(failure),
            }
        }
        Err(failure) => context.failed(failure),
    }
}

impl Context {
    fn address(&self) -> Result<&Address, Failure> {
        let named = |error: &AddressError| Failure { reason: "address", error: Some(error.to_string()) };
        self.upstream.as_ref().map_err(named)
    }

    fn closed(&self, reason: Reason) {
        let shared = &self.entered.connection;
        self.proxy.events.tell(|| {
            let [up, down] = sabot_toxics::Direction::BOTH.map(|direction| shared.sent(direction));
            What::ConnectionClosed {
                connection: shared.id,
                client: client(shared),
                reason: reason.as_str(),
                bytes_upstream: up,
                bytes_downstream: down,
                duration_ms: age_ms(shared),
            }
        });
    }

    fn failed(&self, failure: Failure) {
        let shared = &self.entered.connection;
        self.proxy.failed.count(failure.reason);
        tracing::debug!(
            proxy = %self.proxy.name,
            connection = shared.id,
            reason = failure.reason,
            error = failure.error.as_deref(),
            "failed to connect to {}",
            shared.upstream
        );
        self.proxy.events.tell(|| What::ConnectionFailed {
            connection: shared.id,
            client: client(shared),
            reason: failure.reason,
            error: failure.error,
        });
    }

    /// What the faults of the connect phase have in store as of the plan `version`.
    fn fate(&self, shared: &ConnShared) -> (u64, ConnectPlan) {
        let (version, plan) = shared.policy.plan();
        if plan.is_empty() {
            return (version, ConnectPlan::default());
        }
        let others = self.proxy.registry.len().saturating_sub(1);
        let fate =
            plan.connect(&shared.key, others, monotonic_now(), |entry| shared.policy.applied(shared, entry));
        (version, fate)
    }
}

/// Whom a connection has reached.
enum Reached {
    /// The client and the upstream.
    Both(Stream, Stream),
    /// The client; the upstream at this address is dialled when a request needs it.
    Client(Stream, Address),
    /// The client, with TLS on its side or the upstream's.
    Secured(Stream, Arc<Tls>, Address),
}

/// Takes the client and reaches the upstream, as far as the toxics let it.
async fn reach(accepted: Accepted, context: &Context, shared: &Arc<ConnShared>) -> Result<Reached, Failure> {
    let (mut version, mut fate) = context.fate(shared);
    if fate.refuse {
        accepted.reset();
        return Err(Failure::new("toxic"));
    }
    let mut client = accepted.attach().map_err(|error| failure(&error))?;
    loop {
        // A fault that is changed or removed, or whose window opens or closes, while
        // it holds a connection back is judged anew, from the moment of the accept.
        let began = shared.opened + fate.accept_delay;
        let watch = Watch { shared, version, changes: fate.changes };
        let over = match pause(&client, &watch, began).await {
            Pause::Over => None,
            changed => Some(changed),
        };
        let over = match (over, &fate.dial) {
            (Some(early), _) => early,
            (None, Dial::After(delay)) => {
                shared.set_state(State::Dialing);
                match pause(&client, &watch, began + *delay).await {
                    Pause::Over => {
                        if context.proxy.protocol == Protocol::Http {
                            return Ok(Reached::Client(client, context.address()?.clone()));
                        }
                        if let Some(tls) = context.proxy.tls() {
                            if !tls.passthrough {
                                return Ok(Reached::Secured(client, tls, context.address()?.clone()));
                            }
                            pass_through(&mut client, shared).await?;
                        }
                        let upstream = reach_upstream(&client, context, shared).await?;
                        return Ok(Reached::Both(client, upstream));
                    }
                    early => early,
                }
            }
            (None, Dial::Swallow(limit)) => {
                shared.set_state(State::Dialing);
                match pause(&client, &watch, began + *limit).await {
                    Pause::Over => return Err(Failure::new("timeout")),
                    early => early,
                }
            }
            (None, Dial::Nothing) => swallow(&mut client, &watch).await,
        };
        match over {
            Pause::Changed => (version, fate) = context.fate(shared),
            Pause::Killed => return Err(killed(client, shared)),
            Pause::Gone | Pause::Over => return Err(Failure::new("client_gone")),
        }
    }
}

/// How a pause ended.
enum Pause {
    /// The time has come.
    Over,
    /// The faults may have something else in store now.
    Changed,
    /// The controller ended the connection.
    Killed,
    /// The client is gone.
    Gone,
}

/// What may interrupt a connection that waits.
struct Watch<'a> {
    shared: &'a ConnShared,
    /// Of the plan that it was judged by.
    version: u64,
    /// When a window of a fault opens or closes.
    changes: Option<Time>,
}

impl Watch<'_> {
    fn poll(&self, cx: &mut std::task::Context<'_>, clock: &Monotonic) -> Option<Pause> {
        self.shared.register(cx.waker());
        if self.shared.is_killed() {
            return Some(Pause::Killed);
        }
        let changed = self.shared.policy.version() != self.version
            || self.changes.is_some_and(|changes| clock.now() >= changes);
        changed.then_some(Pause::Changed)
    }
}

/// Waits until `until`, unless something happens before.
async fn pause(client: &Stream, watch: &Watch<'_>, until: Time) -> Pause {
    let mut clock = Monotonic::default();
    let mut gone = pin!(client.broken());
    poll_fn(|cx| {
        if clock.now() >= until {
            return Poll::Ready(Pause::Over);
        }
        if let Some(early) = watch.poll(cx, &clock) {
            return Poll::Ready(early);
        }
        if gone.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Pause::Gone);
        }
        let wake = watch.changes.map_or(until, |changes| changes.min(until));
        clock.wake_at(cx, clock.now(), Some(wake));
        Poll::Pending
    })
    .await
}

/// Dials, within the limit of time, unless the client leaves or the controller
/// ends the connection.
async fn reach_upstream(client: &Stream, context: &Context, shared: &ConnShared) -> Result<Stream, Failure> {
    shared.set_state(State::Dialing);
    let began = monotonic_now();
    let address = context.address()?;
    let mut clock = Monotonic::default();
    let mut dialling = pin!(within(&mut clock, began + context.dial_timeout, dial(address)));
    let mut gone = pin!(client.broken());
    let dialled = poll_fn(|cx| {
        shared.register(cx.waker());
        if shared.is_killed() {
            return Poll::Ready(Err(Failure::new("closed")));
        }
        if let Poll::Ready(dialled) = dialling.as_mut().poll(cx) {
            return Poll::Ready(Ok(dialled));
        }
        gone.as_mut().poll(cx).map(|()| Err(Failure::new("client_gone")))
    })
    .await?;
    match dialled {
        Some(Ok(upstream)) => {
            metrics::dialled(&context.proxy.name, monotonic_now().saturating_since(began));
            Ok(upstream)
        }
        Some(Err(error)) => Err(failure(&error)),
        None => Err(Failure::new("timeout")),
    }
}

/// Reads the name that the client asks for under TLS, unless the controller ends the
/// connection before.
async fn pass_through(client: &mut Stream, shared: &Arc<ConnShared>) -> Result<(), Failure> {
    let mut reading = pin!(tls::pass_through(client, shared));
    poll_fn(|cx| {
        shared.register(cx.waker());
        if shared.is_killed() {
            return Poll::Ready(Err(Failure::new("closed")));
        }
        reading.as_mut().poll(cx)
    })
    .await
}

/// Reads and throws away what the client sends, until it ends. When the plan
/// changes, a client that has sent nothing may still be connected; one that has
/// is closed, since what it sent is lost.
async fn swallow(client: &mut Stream, watch: &Watch<'_>) -> Pause {
    watch.shared.set_state(State::Open);
    let mut clock = Monotonic::default();
    let mut swallowed = 0;
    let mut room = vec![0; 4096];
    poll_fn(|cx| {
        match watch.poll(cx, &clock) {
            Some(Pause::Changed) if swallowed > 0 => return Poll::Ready(Pause::Gone),
            Some(early) => return Poll::Ready(early),
            None => {}
        }
        // A bounded turn: a client that sends without end may not keep the worker.
        for _ in 0..16 {
            let mut buf = ReadBuf::new(&mut room);
            match client.poll_read(cx, &mut buf) {
                Poll::Pending => {
                    clock.wake_at(cx, clock.now(), watch.changes);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => swallowed += buf.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Pause::Gone),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

fn killed(client: Stream, shared: &ConnShared) -> Failure {
    if shared.is_reset() {
        client.reset();
    }
    Failure::new("closed")
}

fn failure(error: &io::Error) -> Failure {
    Failure { reason: dial_reason(error), error: Some(error.to_string()) }
}

/// Names the reason of a failed dial, as the metric does.
pub(crate) fn dial_reason(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => "refused",
        Some(Errno::CONNRESET) => "reset",
        Some(Errno::TIMEDOUT) => "timeout",
        Some(Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NOENT) => "unreachable",
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::ADDRNOTAVAIL) => "resources",
        Some(_) => "other",
        // The resolver's errors carry no number.
        None => "resolve",
    }
}

/// The client's address as people read it.
pub(crate) fn client(shared: &ConnShared) -> String {
    shared.client.map_or_else(|| "unix".to_owned(), |client| client.to_string())
}

/// How long ago it was accepted.
pub(crate) fn age_ms(shared: &ConnShared) -> u64 {
    u64::try_from(monotonic_now().saturating_since(shared.opened).as_millis()).unwrap_or(u64::MAX)
}
