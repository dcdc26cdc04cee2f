//! One proxy: its addresses, its listener, its connections; its toxics in
//! `toxics`, what injections have on it in `injected`.

mod injected;
mod toxics;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sabot_toxics::{Entry, Invalid, Phase, Plan, Seed};

use crate::accept;
use crate::event::{Events, What};
use crate::http::{FaultRoom, Onward, Pools};
use crate::metrics;
use crate::model::{Protocol, ProxySpec, ProxyTotals, ProxyView};
use crate::net::{Address, AddressError, Bound};
use crate::registry::Registry;
use crate::relay::Policy;
use crate::shell::Shell;
use crate::tally::Tally;
use crate::tls::{Slot, Tls};
use toxics::views;
pub(crate) use toxics::{check_fits, lease_end, view};

/// How long closing waits for connections that were told to end. They need one
/// turn of their worker; a worker that takes longer is stuck, and goes on by itself.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// A proxy. What it is called never changes; the rest is behind the lock.
pub(crate) struct Proxy {
    pub(crate) name: String,
    pub(crate) seed: Seed,
    pub(crate) protocol: Protocol,
    /// TLS on either side.
    pub(crate) tls: Option<Slot>,
    /// Connections to the upstream that wait for the next HTTP request.
    pub(crate) pools: Pools,
    /// The cap on requests under a fault.
    pub(crate) fault_room: Arc<FaultRoom>,
    /// What it changes in HTTP requests.
    pub(crate) onward: Onward,
    /// HTTP requests so far; the last one's number.
    request_number: AtomicU64,
    /// Client connections that did not speak HTTP, though they should.
    malformed: AtomicU64,
    pub(crate) policy: Arc<Policy>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) events: Arc<Events>,
    /// HTTP requests, for those who listen to them.
    pub(crate) requests: Events,
    /// Connections that never reached their upstream, by reason.
    pub(crate) failed: Tally,
    /// Errors of accept, by reason.
    pub(crate) accept_errors: Tally,
    /// Connections on which a fault acted, by kind.
    applied: Arc<Tally>,
    /// What of its totals the metrics have.
    published: Mutex<Option<ProxyTotals>>,
    state: Mutex<State>,
}

struct State {
    /// As it was asked for.
    asked: String,
    /// As it is shown: resolved once it was bound.
    listen: String,
    upstream: String,
    labels: BTreeMap<String, String>,
    /// What people set, then what injections own.
    toxics: Vec<Arc<Entry>>,
    running: Option<Arc<Running>>,
    /// Whether the configuration file has it.
    configured: bool,
}

/// A proxy's listener while it is enabled.
pub(crate) struct Running {
    pub(crate) bound: Bound,
    upstream: Mutex<Upstream>,
    closed: AtomicBool,
}

/// Where connections go.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) text: Arc<str>,
    /// Clients of Toxiproxy may name an upstream without a port; every dial of it
    /// fails then, and says so.
    pub(crate) address: Result<Address, AddressError>,
}

impl Running {
    pub(crate) fn upstream(&self) -> Upstream {
        self.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether nothing may be accepted any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Stops listening, now.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.bound.close();
    }
}

impl Proxy {
    /// A proxy that does not listen yet.
    pub(crate) fn new(
        shell: &Shell,
        spec: &ProxySpec,
        onward: Onward,
        tls: Option<Slot>,
        toxics: Vec<Arc<Entry>>,
    ) -> Self {
        let (name, upstream) = (&spec.name, &spec.upstream);
        let listen = spec.listen.as_deref().unwrap_or_default();
        let events = Arc::<Events>::default();
        let applied = Arc::<Tally>::default();
        let (told, counted) = (Arc::clone(&events), Arc::clone(&applied));
        let on_applied = Box::new(move |connection: &crate::relay::ConnShared, entry: &Arc<Entry>| {
            let first = connection.first_application(entry.id);
            // What acts on requests is counted by the request, and told of once.
            if first || entry.spec.kind.phase == Phase::Http {
                entry.count();
                counted.count(entry.spec.kind.name);
            }
            if first {
                told.tell(|| What::ToxicApplied {
                    connection: connection.id,
                    toxic: entry.spec.name.clone(),
                    kind: entry.spec.kind.name,
                });
            }
        });
        let policy = Policy::new(
            Arc::new(Plan::new(toxics.clone())),
            shell.direction_budget,
            Arc::clone(&shell.budget),
            on_applied,
        );
        let state = State {
            asked: listen.to_owned(),
            listen: listen.to_owned(),
            upstream: upstream.to_owned(),
            labels: spec.labels.clone(),
            toxics,
            running: None,
            configured: false,
        };
        Self {
            name: name.to_owned(),
            seed: shell.seed.split(name),
            protocol: spec.protocol,
            tls,
            pools: Pools::new(shell.workers.len()),
            request_number: AtomicU64::new(0),
            fault_room: Arc::new(FaultRoom::new(spec.max_active_faults)),
            onward,
            malformed: AtomicU64::new(0),
            policy: Arc::new(policy),
            registry: Arc::default(),
            events,
            requests: Events::default(),
            failed: Tally::default(),
            accept_errors: Tally::default(),
            applied,
            published: Mutex::default(),
            state: Mutex::new(state),
        }
    }

    /// How it looks now.
    pub(crate) fn view(&self) -> ProxyView {
        let state = self.lock();
        ProxyView {
            name: self.name.clone(),
            listen: state.listen.clone(),
            upstream: state.upstream.clone(),
            protocol: self.protocol,
            tls: self.tls.as_ref().map(|tls| tls.spec.clone()),
            max_active_faults: self.fault_room.most(),
            host_rewrite: self.onward.host().map(str::to_owned),
            x_forwarded_for: self.onward.forwards_client(),
            enabled: state.running.is_some(),
            labels: state.labels.clone(),
            toxics: views(&state.toxics[..state.layer()]),
            injected: views(&state.toxics[state.layer()..]),
            open_connections: self.registry.len(),
            total_connections: self.registry.accepted(),
        }
    }

    /// The TLS that a new connection is to have.
    pub(crate) fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.as_ref().map(Slot::get)
    }

    /// The number of the HTTP request that has just come, from 1.
    pub(crate) fn next_request(&self) -> u64 {
        self.request_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A client has sent what is no HTTP.
    pub(crate) fn count_malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    /// What it has counted.
    pub(crate) fn totals(&self) -> ProxyTotals {
        let (listen, upstream) = {
            let state = self.lock();
            (state.listen.clone(), state.upstream.clone())
        };
        let bytes = self.registry.bytes();
        ProxyTotals {
            name: self.name.clone(),
            listen,
            upstream,
            open_connections: bytes.connections,
            total_connections: self.registry.accepted(),
            received: bytes.received,
            sent: bytes.sent,
            held_bytes: bytes.held,
            failed: self.failed.so_far(),
            accept_errors: self.accept_errors.so_far(),
            applied: self.applied.so_far(),
            malformed: self.malformed.load(Ordering::Relaxed),
            http: (self.protocol == Protocol::Http).then(|| self.pools.totals()),
            faults_capped: self.fault_room.passed(),
        }
    }

    /// What of its totals the metrics have, to be brought up to date.
    pub(crate) fn published(&self) -> MutexGuard<'_, Option<ProxyTotals>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it speaks, counts its faults and changes requests as that one is to.
    pub(crate) fn speaks_as(&self, spec: &ProxySpec) -> bool {
        self.protocol == spec.protocol
            && self.fault_room.most() == spec.max_active_faults
            && self.onward.host() == spec.host_rewrite.as_deref()
            && self.onward.forwards_client() == spec.x_forwarded_for
    }

    /// Whether these addresses are those it has: asked for the same, or meaning
    /// the same as what it was given.
    pub(crate) fn is_at(&self, listen: &str, upstream: &str) -> bool {
        let state = self.lock();
        (state.asked == listen || same(&state.listen, listen)) && same(&state.upstream, upstream)
    }

    /// The address to listen on when it is enabled.
    pub(crate) fn listen(&self) -> String {
        self.lock().listen.clone()
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.lock().running.is_some()
    }

    pub(crate) fn is_configured(&self) -> bool {
        self.lock().configured
    }

    pub(crate) fn set_configured(&self) {
        self.lock().configured = true;
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        self.lock().labels.clone()
    }

    /// Labels it; true if that changed anything. Nothing that runs notices.
    pub(crate) fn set_labels(&self, labels: BTreeMap<String, String>) -> bool {
        let mut state = self.lock();
        let changed = state.labels != labels;
        state.labels = labels;
        changed
    }

    /// Accepts from `bound` on every worker.
    pub(crate) fn start(self: &Arc<Self>, shell: &Arc<Shell>, bound: Bound) {
        let mut state = self.lock();
        state.listen = bound.local().to_string();
        if let Some(tls) = &self.tls {
            tls.listens_on(bound.local());
        }
        let upstream = Mutex::new(upstream(&state.upstream));
        let running = Arc::new(Running { bound, upstream, closed: AtomicBool::new(false) });
        state.running = Some(Arc::clone(&running));
        self.tell_update(&state);
        drop(state);
        accept::start(self, shell, &running);
    }

    /// Stops listening at once; its connections go on.
    pub(crate) fn stop_listening(&self) -> Option<Arc<Running>> {
        let mut state = self.lock();
        let running = state.running.take()?;
        running.close();
        self.tell_update(&state);
        Some(running)
    }

    /// Has connections end as soon as no request is under way on them.
    pub(crate) fn leave_connections(&self) {
        self.registry.live().iter().for_each(|connection| connection.leave());
    }

    /// Ends all connections, and waits for it with a limit.
    pub(crate) async fn end_connections(&self) {
        let ending = self.registry.live();
        ending.iter().for_each(|connection| connection.close());
        if !self.registry.wait_for(&ending, CLOSE_LIMIT).await {
            tracing::warn!(proxy = %self.name, "connections did not end in time");
        }
        // Whatever they gave back is for nobody.
        self.pools.clear();
    }

    /// Sets other addresses; a listener that runs keeps its socket.
    pub(crate) fn readdress(&self, listen: Option<&str>, upstream_text: Option<&str>) {
        metrics::publish_proxy(self);
        let mut state = self.lock();
        if let Some(listen) = listen {
            listen.clone_into(&mut state.asked);
            listen.clone_into(&mut state.listen);
        }
        if let Some(text) = upstream_text {
            text.clone_into(&mut state.upstream);
            if let Some(running) = &state.running {
                *running.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream(text);
                self.tell_update(&state);
            }
        }
    }

    fn tell_update(&self, state: &State) {
        self.events.tell(|| What::ProxyUpdated {
            listen: state.listen.clone(),
            upstream: state.upstream.clone(),
            enabled: state.running.is_some(),
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses an upstream that no dial could reach.
///
/// # Errors
/// The address has no port, or is none.
pub fn check_upstream(upstream: &str) -> Result<(), Invalid> {
    upstream.parse::<Address>().map(drop).map_err(|error| Invalid::new("upstream", error.to_string()))
}

/// Whether two texts mean the same address.
fn same(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<Address>(), b.parse::<Address>()), (Ok(a), Ok(b)) if a.same(&b))
}

fn upstream(text: &str) -> Upstream {
    Upstream { text: text.into(), address: text.parse() }
}
