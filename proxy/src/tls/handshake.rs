//! A client's handshake, with the faults that hold it up or turn it away.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::server::Acceptor;
use sabot_toxics::Time;
use sabot_toxics::tls::{TlsFate, TlsStep};
use tokio::io::AsyncWriteExt;
use tokio_rustls::LazyConfigAcceptor;

use super::secured::Secured;
use super::terminate::Terminator;
use crate::http::leg::{Below, Leg};
use crate::net::Monotonic;
use crate::net::timers::{monotonic_now, sleep_until, within};
use crate::relay::ConnShared;

/// How long a client may take for its `ClientHello`, and then for the rest of the
/// handshake. Faults that hold it up do not count.
pub(super) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How often a handshake that is held up looks whether the client is still there.
const LOOK: Duration = Duration::from_millis(250);

/// Why there is no connection under TLS with a client.
pub(crate) struct Refused {
    /// As the metric has it.
    pub(crate) reason: &'static str,
    pub(crate) error: Option<String>,
}

impl Refused {
    fn new(reason: &'static str) -> Self {
        Self { reason, error: None }
    }

    fn late() -> Self {
        Self { reason: "client_tls", error: Some("the handshake took too long".to_owned()) }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        let gone = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
        let reason = if gone { "client_gone" } else { "client_tls" };
        Self { reason, error: Some(error.to_string()) }
    }
}

/// Makes the client's side a connection under TLS.
pub(crate) async fn accept(
    leg: Leg,
    shared: &Arc<ConnShared>,
    below: &Arc<Below>,
    terminator: &Terminator,
) -> Result<Secured, Refused> {
    let mut hello = LazyConfigAcceptor::new(Acceptor::default(), leg);
    let mut start = match in_time(&mut hello).await {
        Ok(start) => start,
        Err(refused) => {
            if let Some(leg) = hello.take_io() {
                part(leg, below).await;
            }
            return Err(refused);
        }
    };
    let name = start.client_hello().server_name().map(str::to_owned);
    if let Some(name) = &name {
        shared.set_sni(name);
    }
    let fate = match hold(shared, || start.io.is_closed_by_client()).await {
        Waiting::Over(fate) => fate,
        Waiting::Gone => return Err(Refused::new("client_gone")),
    };
    if let Some(alert) = fate.plan.alert {
        fate.at(TlsStep::Refuse).for_each(|entry| shared.applied(entry));
        let _ = in_time(start.io.write_all(&alert.record())).await;
        part(start.io, below).await;
        return Err(Refused::new("toxic"));
    }
    let config = terminator.config(name.as_deref(), &fate.plan);
    let config = config.map_err(|error| Refused { reason: "client_tls", error: Some(error.to_string()) })?;
    fate.at(TlsStep::Handshake).for_each(|entry| shared.applied(entry));
    let rest = start.into_stream(config).into_fallible();
    let stream = match within(&mut Monotonic::default(), monotonic_now() + HANDSHAKE_LIMIT, rest).await {
        Some(Ok(stream)) => stream,
        Some(Err((error, leg))) => {
            part(leg, below).await;
            return Err(error.into());
        }
        None => return Err(Refused::late()),
    };
    below.secured(monotonic_now());
    Ok(Secured::new(stream, Arc::clone(shared), Arc::clone(below)))
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> Result<T, Refused> {
    let give_up = monotonic_now() + HANDSHAKE_LIMIT;
    match within(&mut Monotonic::default(), give_up, work).await {
        Some(done) => Ok(done?),
        None => Err(Refused::late()),
    }
}

/// Closes so that the client reads the alert that was sent before it meets a reset.
async fn part(mut leg: Leg, below: &Below) {
    below.tunnel.store(false, Ordering::Relaxed);
    let _ = in_time(leg.shutdown()).await;
}

/// How a wait ended.
pub(super) enum Waiting {
    /// Nothing holds the handshake up any more: what is to become of it now.
    Over(TlsFate),
    /// The client is gone.
    Gone,
}

/// Waits as long as faults hold a handshake up whose `ClientHello` has just come. A fault
/// that changes, or whose window opens or closes meanwhile, is judged anew.
pub(super) async fn hold(shared: &Arc<ConnShared>, is_gone: impl Fn() -> bool) -> Waiting {
    let began = monotonic_now();
    let policy = &shared.policy;
    if !policy.plan().1.has_tls() {
        return Waiting::Over(TlsFate::default());
    }
    let mut changes = policy.changes();
    loop {
        let (now, fate) = (monotonic_now(), policy.plan().1.tls(&shared.key, monotonic_now()));
        let until = if fate.plan.hang { Time::NEVER } else { began + fate.plan.delay };
        if until <= now {
            // A delay of nothing, or one that was taken back, acts on nobody.
            return Waiting::Over(fate);
        }
        fate.at(TlsStep::Wait).for_each(|entry| shared.applied(entry));
        if is_gone() {
            return Waiting::Gone;
        }
        let next = until.min(now + LOOK).min(fate.changes.unwrap_or(Time::NEVER));
        let mut clock = Monotonic::default();
        tokio::select! {
            biased;
            () = sleep_until(&mut clock, next) => {}
            _ = changes.changed() => {}
        }
    }
}
