//! Which toxics a proxy has, and which of them a connection draws.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::catalog::{Phase, Settings};
use crate::connect::{ConnectCx, ConnectPlan};
use crate::http::Head;
use crate::spec::ToxicSpec;
use crate::tls::{TlsCx, TlsFate};
use crate::toxic::Shared;
use crate::{Direction, Invalid, Seed, Time};

/// A connection, as far as chance and selection are concerned.
#[derive(Clone, Debug)]
pub struct ConnKey {
    /// Its number on the proxy, from 1.
    pub number: u64,
    /// The client's address; none on a Unix socket.
    pub client: Option<IpAddr>,
    /// The proxy's seed.
    pub seed: Seed,
}

/// Where the seeds of what injections own branch off. No direction and no phase is called so.
const INJECTED: &str = "injected";

/// A toxic that a proxy has.
pub struct Entry {
    /// What was asked for, complete.
    pub spec: ToxicSpec,
    /// Its settings, ready for use.
    pub settings: Settings,
    /// Which toxic this is; an update keeps it, a new toxic of the old name
    /// gets another.
    pub id: u64,
    /// When it was added: the origin of its windows.
    pub added: Time,
    /// The number of the first connection opened after it was added.
    pub first_connection: u64,
    /// The injection that it belongs to; none is what people and clients set.
    pub owner: Option<Arc<str>>,
    pub(crate) shared: Arc<Shared>,
    applied: Arc<AtomicU64>,
    /// The seed of its draws on requests, with that of the proxy which it was made of: asked for
    /// with every request, and always the same.
    request_seed: OnceLock<(Seed, Seed)>,
    /// Requests that an HTTP toxic was meant for so far.
    matched: Arc<AtomicU64>,
}

impl Entry {
    /// A toxic added at `added`, before the connection `first_connection`.
    ///
    /// # Errors
    /// The attributes do not fit the kind.
    pub fn new(spec: ToxicSpec, id: u64, added: Time, first_connection: u64) -> Result<Self, Invalid> {
        let settings = spec.settings()?;
        let (shared, applied, matched) = (Arc::default(), Arc::default(), Arc::default());
        let request_seed = OnceLock::new();
        let owner = None;
        Ok(Self {
            spec,
            settings,
            id,
            added,
            first_connection,
            owner,
            request_seed,
            shared,
            applied,
            matched,
        })
    }

    /// The same as a fault of that injection. Its draws are others than those of a toxic of
    /// its name that people set.
    #[must_use]
    pub fn owned_by(mut self, injection: &str) -> Self {
        self.owner = Some(injection.into());
        self.request_seed = OnceLock::new();
        self
    }

    /// The same toxic with other settings.
    ///
    /// # Errors
    /// The attributes do not fit the kind.
    pub fn with_update(&self, spec: ToxicSpec) -> Result<Self, Invalid> {
        let settings = spec.settings()?;
        Ok(Self {
            spec,
            settings,
            id: self.id,
            added: self.added,
            first_connection: self.first_connection,
            owner: self.owner.clone(),
            request_seed: self.request_seed.clone(),
            shared: Arc::clone(&self.shared),
            applied: Arc::clone(&self.applied),
            matched: Arc::clone(&self.matched),
        })
    }

    /// On how many connections it acted so far.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Counts a connection on which it acted.
    pub fn count(&self) {
        self.applied.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets its times and counts begin anew.
    pub fn restart(&mut self, now: Time, first_connection: u64) {
        self.added = now;
        self.first_connection = first_connection;
        self.matched = Arc::default();
    }

    /// Counts a request that an HTTP toxic is meant for; its ordinal, from 1.
    pub(crate) fn count_matched(&self) -> u64 {
        self.matched.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether it has a stage in that direction.
    #[must_use]
    pub fn acts_on(&self, direction: Direction) -> bool {
        self.spec.kind.phase == Phase::Stream && (self.spec.kind.both || self.spec.stream == direction)
    }

    /// The seed of its draws on one direction of a connection. Injections come and go with ids
    /// that are not known before, so the draws hang on the layer and the name alone.
    #[must_use]
    pub fn seed(&self, key: &ConnKey, direction: Direction) -> Seed {
        let connection = key.seed.split_n(key.number);
        let layer = if self.owner.is_some() { connection.split(INJECTED) } else { connection };
        layer.split(direction.as_str()).split(&self.spec.name)
    }

    /// The same for its draws on the requests of a proxy.
    pub(crate) fn request_seed(&self, proxy: &Seed) -> Seed {
        let (of, seed) = self.request_seed.get_or_init(|| (proxy.clone(), self.make_request_seed(proxy)));
        if of == proxy { seed.clone() } else { self.make_request_seed(proxy) }
    }

    fn make_request_seed(&self, proxy: &Seed) -> Seed {
        let layer = match self.owner {
            Some(_) => proxy.split(INJECTED).split("http"),
            None => proxy.split("http"),
        };
        layer.split(&self.spec.name)
    }

    /// Whether the connection is one that this toxic was drawn for: a pure
    /// function of the connection, so updates and other toxics change nothing.
    #[must_use]
    pub fn drawn(&self, key: &ConnKey) -> bool {
        let ordinal = key.number.checked_sub(self.first_connection).map(|before| before + 1);
        if !self.spec.when.selects(ordinal, key.client) {
            return false;
        }
        let toxicity = self.spec.toxicity;
        toxicity >= 1.0 || {
            let seed = self.seed(key, self.spec.stream).split("toxicity");
            seed.at(0).chance(toxicity)
        }
    }
}

/// The toxics of a proxy, in the order of their chains. Immutable: a change is
/// a new plan.
#[derive(Clone, Default)]
pub struct Plan(Vec<Arc<Entry>>);

impl Plan {
    /// A plan of these toxics.
    #[must_use]
    pub fn new(entries: Vec<Arc<Entry>>) -> Self {
        Self(entries)
    }

    /// A plan without toxics.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether there is no toxic.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a toxic for TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.0.iter().any(|entry| entry.spec.kind.phase == Phase::Tls)
    }

    /// Whether there is a toxic for HTTP requests.
    #[must_use]
    pub fn has_http(&self) -> bool {
        self.0.iter().any(|entry| entry.spec.kind.phase == Phase::Http)
    }

    /// Whether a request with that head would meet a fault, were it sent `now`: one that
    /// matches and whose window is open, drawn or not.
    pub fn meets(&self, head: &impl Head, now: impl Fn() -> Time) -> bool {
        self.0.iter().any(|entry| {
            let Settings::Http(_, matcher) = &entry.settings else { return false };
            matcher.request(head) && entry.spec.when.window(entry.added, now()).open
        })
    }

    /// The toxics.
    #[must_use]
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.0
    }

    /// What is to become of a connection that was just accepted; each fault
    /// that changes it is reported to `applied`.
    pub fn connect(
        &self,
        key: &ConnKey,
        live_connections: usize,
        now: Time,
        mut applied: impl FnMut(&Arc<Entry>),
    ) -> ConnectPlan {
        let mut plan = ConnectPlan::default();
        for entry in &self.0 {
            let Settings::Connect(settings) = &entry.settings else { continue };
            if !entry.drawn(key) {
                continue;
            }
            let window = entry.spec.when.window(entry.added, now);
            plan.changes = plan.changes.into_iter().chain(window.changes).min();
            if !window.open {
                continue;
            }
            let before = plan.clone();
            let seed = entry.seed(key, entry.spec.stream);
            settings.apply(&ConnectCx { live_connections, seed: &seed }, &mut plan);
            if plan != before {
                applied(entry);
            }
        }
        plan
    }

    /// What is to become of a connection under TLS. Nothing is counted yet: whoever
    /// carries it out knows which steps come to pass.
    #[must_use]
    pub fn tls(&self, key: &ConnKey, now: Time) -> TlsFate {
        let mut fate = TlsFate::default();
        for entry in &self.0 {
            let (Settings::Tls(settings), Some(step)) = (&entry.settings, entry.spec.kind.tls_step) else {
                continue;
            };
            if !entry.drawn(key) {
                continue;
            }
            let window = entry.spec.when.window(entry.added, now);
            fate.changes = fate.changes.into_iter().chain(window.changes).min();
            if !window.open {
                continue;
            }
            let before = fate.plan.clone();
            let seed = entry.seed(key, entry.spec.stream);
            settings.apply(&TlsCx { seed: &seed }, &mut fate.plan);
            if fate.plan != before {
                fate.by.push((step, Arc::clone(entry)));
            }
        }
        fate
    }

    /// The names of the toxics that hold the connection at `now`.
    #[must_use]
    pub fn holds(&self, key: &ConnKey, now: Time) -> Vec<String> {
        let holds = |entry: &&Arc<Entry>| entry.drawn(key) && entry.spec.when.window(entry.added, now).open;
        self.0.iter().filter(holds).map(|entry| entry.spec.name.clone()).collect()
    }
}
