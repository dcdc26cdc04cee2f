//! What every service has: two listeners, a control side, and an end.
//!
//! Requests and control have listeners of their own, so that a service that is
//! full still tells its metrics and takes orders.

use std::future::pending;
use std::net::TcpListener as StdListener;
use std::pin::Pin;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::LabError;
use crate::metrics::{Meter, SCHEDULING_DELAY};
use crate::mitigation::Mitigations;

/// An order or a charge is a few hundred bytes.
const MAX_BODY: usize = 16 << 10;
/// How long requests under way may go on when the service is told to stop.
const DRAIN: Duration = Duration::from_secs(1);
const UPKEEP: Duration = Duration::from_secs(5);
const PROBE: Duration = Duration::from_millis(20);

/// What all services are told.
#[derive(Clone, Debug)]
pub struct Common {
    /// The instance's name, such as `orders-1`.
    pub name: String,
    /// What tokens are signed with: the same for all.
    pub secret: String,
    /// The mitigations to begin with.
    pub mitigations: Mitigations,
    /// For jitter and injected errors.
    pub seed: u64,
}

/// A service that is ready to be served.
pub struct Service {
    pub(crate) requests: Router,
    pub(crate) control: Router,
    pub(crate) meter: Meter,
    pub(crate) work: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// The sockets of one instance; both listen already.
pub struct Listeners {
    /// For the service's own requests.
    pub requests: StdListener,
    /// For health, metrics and switches.
    pub control: StdListener,
}

impl Service {
    /// Serves until `stop` says true, on the current runtime.
    ///
    /// # Errors
    /// When a listener cannot be used.
    pub async fn serve(self, listeners: Listeners, stop: watch::Receiver<bool>) -> Result<(), LabError> {
        let requests = tokio_listener(listeners.requests)?;
        let control = tokio_listener(listeners.control)?;
        let mut tasks = JoinSet::new();
        for work in self.work {
            tasks.spawn(work);
        }
        tasks.spawn(probe(self.meter.clone()));
        tasks.spawn(upkeep(self.meter));
        let app = self.requests.layer(DefaultBodyLimit::max(MAX_BODY));
        let control = serve(control, self.control.layer(DefaultBodyLimit::max(MAX_BODY)), stop.clone());
        let both = async { tokio::join!(serve(requests, app, stop.clone()), control) };
        tokio::select! {
            _ = both => {}
            () = drained(stop.clone()) => {}
        }
        Ok(())
    }
}

async fn serve(listener: TcpListener, app: Router, stop: watch::Receiver<bool>) {
    // Small answers must not wait for an acknowledgement of the one before.
    let listener = listener.tap_io(|stream| {
        // A socket that is gone already says so at its first read.
        let _ = stream.set_nodelay(true);
    });
    // It ends by the signal alone.
    let _ = axum::serve(listener, app).with_graceful_shutdown(stopped(stop)).await;
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could say it.
        pending::<()>().await;
    }
}

async fn drained(stop: watch::Receiver<bool>) {
    stopped(stop).await;
    tokio::time::sleep(DRAIN).await;
}

fn tokio_listener(listener: StdListener) -> Result<TcpListener, LabError> {
    let address =
        listener.local_addr().map_or_else(|_| "an inherited socket".to_owned(), |it| it.to_string());
    let ready = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
    ready.map_err(|source| LabError::Listen { address, source })
}

/// Shows how long a task that could run waits for its turn.
async fn probe(meter: Meter) {
    let delay = meter.histogram(SCHEDULING_DELAY, &[]);
    loop {
        let due = Instant::now() + PROBE;
        tokio::time::sleep_until(due.into()).await;
        delay.record(Instant::now().saturating_duration_since(due).as_secs_f64());
    }
}

async fn upkeep(meter: Meter) {
    let mut tick = tokio::time::interval(UPKEEP);
    loop {
        tick.tick().await;
        meter.upkeep();
    }
}
