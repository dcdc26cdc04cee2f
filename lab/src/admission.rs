//! How a request gets in: counted, queued for a worker, or refused.
//!
//! A service works on a bounded number of requests at once, as a pool of threads
//! would; the others wait in the order in which they came. That is the naive part.
//!
//! | mitigation | on | off |
//! |---|---|---|
//! | load_shedding | beyond [`QUEUE`] waiting requests, 503 at once | beyond [`NAIVE_QUEUE`] |
//! | bulkhead | each route has its share of the workers and [`ROUTE_QUEUE`] that wait for it, 503 beyond | all wait for the same workers |
//! | timeout | the route's deadline, then 504 | the client's patience |

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use metrics::Gauge;
use tokio::sync::Semaphore;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::{LoadShedLayer, error::Overloaded};
use tower::timeout::{TimeoutLayer, error::Elapsed};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

use crate::metrics::{BULKHEAD_REJECTED, Counted, IN_FLIGHT, Meter, REQUEST_DURATION, REQUESTS, SHED};
use crate::mitigation::{Mitigation, Mitigations, Switches};
use crate::reply::Problem;
use crate::slots::Slots;

/// Waiting requests with load shedding: a worker is busy for milliseconds, so a
/// queue this long still empties within a second.
const QUEUE: usize = 256;
/// Without it: a bound only so that memory has one.
const NAIVE_QUEUE: usize = 16_384;
/// Requests of one route that wait for its share: a machine that stalled for a
/// moment must not refuse what piled up meanwhile.
const ROUTE_QUEUE: usize = 96;
/// The status that access logs have for a client that left.
const CLIENT_LEFT: u16 = 499;

/// The way into a service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Admission {
    pub meter: Meter,
    pub switches: Switches,
    workers: Slots,
    count: usize,
    queue: Arc<Semaphore>,
    naive_queue: Arc<Semaphore>,
    in_flight: Gauge,
}

/// The way into one route.
#[derive(Clone)]
pub(crate) struct Entry {
    admission: Admission,
    route: &'static str,
    share: Arc<Semaphore>,
    /// The share, and the queue for it.
    room: Arc<Semaphore>,
    deadline: Duration,
}

impl Admission {
    /// A service of so many `workers`.
    pub(crate) fn new(meter: &Meter, switches: &Switches, workers: usize) -> Self {
        Self {
            meter: meter.clone(),
            switches: switches.clone(),
            workers: Slots::new(meter, "workers", workers),
            count: workers,
            queue: Arc::new(Semaphore::new(workers + QUEUE)),
            naive_queue: Arc::new(Semaphore::new(workers + NAIVE_QUEUE)),
            in_flight: meter.gauge(IN_FLIGHT, &[]),
        }
    }

    /// A route by its name in metrics, the share of workers (0 to 1) that its
    /// requests may take together, and how long one may last.
    pub(crate) fn entry(&self, route: &'static str, share: f64, deadline: Duration) -> Entry {
        let share = ((self.count as f64 * share) as usize).max(1);
        let room = Arc::new(Semaphore::new(share + ROUTE_QUEUE));
        Entry { admission: self.clone(), route, share: Arc::new(Semaphore::new(share)), room, deadline }
    }
}

/// The middleware of a route; handlers find the [`Mitigations`] of the request as an extension.
pub(crate) async fn admit(State(entry): State<Entry>, mut request: Request, next: Next) -> Response {
    let on = entry.admission.switches.now();
    request.extensions_mut().insert(on);
    let mut told = Told::new(&entry);
    let answer = match entry.pass(on, request, next).await {
        Ok(answer) => answer,
        Err(error) => entry.refusal(&error).into_response(),
    };
    told.status = answer.status().as_u16();
    answer
}

/// Its route's share of the workers is in use.
#[derive(Debug, thiserror::Error)]
#[error("as many requests of this kind as may be are under way")]
struct ShareInUse;

/// Below the bulkhead, what is overloaded is the route's share and not the service.
fn share_in_use(error: BoxError) -> BoxError {
    if error.is::<Overloaded>() { ShareInUse.into() } else { error }
}

impl Entry {
    async fn pass(&self, on: Mitigations, request: Request, next: Next) -> Result<Response, BoxError> {
        let Admission { workers, queue, naive_queue, .. } = self.admission.clone();
        let queue = if on.has(Mitigation::LoadShedding) { queue } else { naive_queue };
        let bulkhead = on.has(Mitigation::Bulkhead);
        let limit = |to: &Arc<Semaphore>| {
            bulkhead.then(|| GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(to)))
        };
        // Waits for a place in its share, then for a worker.
        let work =
            ServiceBuilder::new().option_layer(limit(&self.share)).service(service_fn(move |request| {
                let (workers, next) = (workers.clone(), next.clone());
                async move {
                    let _worker = workers.take().await?;
                    Ok::<_, BoxError>(next.run(request).await)
                }
            }));
        let work = BoxCloneSyncService::new(work);
        // Refuses who finds no room to wait in.
        let service = ServiceBuilder::new()
            .option_layer(on.has(Mitigation::Timeout).then(|| TimeoutLayer::new(self.deadline)))
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::with_semaphore(queue))
            .map_err(share_in_use)
            .option_layer(bulkhead.then(LoadShedLayer::new))
            .option_layer(limit(&self.room))
            .service(service_fn(move |request| work.clone().oneshot(request)));
        BoxCloneSyncService::new(service).oneshot(request).await
    }

    fn refusal(&self, error: &BoxError) -> Problem {
        let meter = &self.admission.meter;
        if error.is::<Elapsed>() {
            return Problem::new(StatusCode::GATEWAY_TIMEOUT, "the request took longer than it may");
        }
        if error.is::<ShareInUse>() {
            meter.count(BULKHEAD_REJECTED, &[("share", self.route)]);
        } else if error.is::<Overloaded>() {
            meter.count(SHED, &[("route", self.route)]);
        }
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the service is busy: {error}"))
    }
}

/// Counts a request when it is over, also when its client has left.
struct Told<'e> {
    entry: &'e Entry,
    began: Instant,
    status: u16,
    _in_flight: Counted,
}

impl<'e> Told<'e> {
    fn new(entry: &'e Entry) -> Self {
        let in_flight = Counted::new(&entry.admission.in_flight);
        Self { entry, began: Instant::now(), status: CLIENT_LEFT, _in_flight: in_flight }
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let (meter, route) = (&self.entry.admission.meter, self.entry.route);
        meter.count(REQUESTS, &[("route", route), ("status", &self.status.to_string())]);
        meter.observe(REQUEST_DURATION, &[("route", route)], self.began.elapsed());
    }
}
