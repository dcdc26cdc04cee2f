//! The faults that one request meets, and its way through them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use http::request::Parts;

use super::next::{Next, Upstream};
use super::{Answer, BoxFuture, Connection, HttpToxic, Match, Request, Tunnel, host};
use crate::catalog::{HttpSettings, Settings};
use crate::plan::{Entry, Plan};
use crate::seed::Draws;
use crate::{Seed, Time};

/// What the world around gives a fault: time, and word of what it did.
pub trait Shell: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Time;

    /// Ready at `until` (never, if there is none), or as soon as the toxic is taken
    /// back or its window closes: no fault outlives its end.
    fn wait(&self, toxic: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()>;

    /// The same, and ready as well as soon as the toxic is another than `seen`.
    fn wait_or_update(&self, seen: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()>;

    /// The toxic as it is now, updates included; none once it was taken back, or while
    /// its window is closed.
    fn current(&self, toxic: &Arc<Entry>) -> Option<Arc<Entry>>;

    /// Room for one more request under a fault; none if the proxy has as many as it may
    /// have, and the request is to pass without.
    fn admit(&self) -> Option<Permit>;

    /// What is kept of the client's connection.
    fn connection(&self) -> &Connection;

    /// The toxic acted on this request.
    fn acted(&self, toxic: &Arc<Entry>);
}

/// Room for a request under a fault, until it is dropped.
pub struct Permit(Option<Box<dyn Send>>);

impl Permit {
    /// Where there is no limit.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self(None)
    }

    /// One that is given back when `guard` is dropped.
    pub fn new(guard: impl Send + 'static) -> Self {
        Self(Some(Box::new(guard)))
    }
}

/// The room of one request, asked for when a fault takes it.
pub(super) struct Room {
    shell: Arc<dyn Shell>,
    permit: Mutex<Option<Option<Permit>>>,
}

impl Room {
    pub(super) fn is_there(&self) -> bool {
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit.get_or_insert_with(|| self.shell.admit()).is_some()
    }

    /// What is to be given back later than now.
    fn take(&self) -> Option<Box<dyn Send>> {
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit.take().flatten().and_then(|permit| permit.0)
    }
}

/// A request, as far as chance and selection are concerned.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// Its number on the proxy, from 1.
    pub number: u64,
    /// The client's address; none on a Unix socket.
    pub client: Option<IpAddr>,
    /// The proxy's seed.
    pub seed: Seed,
}

/// What a fault is told with a request. Clones are the same.
#[derive(Clone)]
pub struct Cx(Arc<Inner>);

struct Inner {
    shell: Arc<dyn Shell>,
    entry: Arc<Entry>,
    seed: Seed,
    /// The request's number, or what stands for its sticky value.
    position: u64,
    client: Option<IpAddr>,
    acted: AtomicBool,
}

impl Cx {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.shell.now()
    }

    /// Waits that long, or until the toxic is taken back.
    pub async fn wait(&self, span: Duration) {
        self.wait_until(self.now() + span).await;
    }

    /// Waits until that moment, or until the toxic is taken back.
    pub async fn wait_until(&self, moment: Time) {
        self.0.shell.wait(&self.0.entry, Some(moment)).await;
    }

    /// Waits until the toxic is taken back, or its window closes.
    pub async fn wait_for_end(&self) {
        self.0.shell.wait(&self.0.entry, None).await;
    }

    /// The settings as they are now, for what outlasts the head of an answer; none once
    /// the toxic was taken back, or while its window is closed.
    #[must_use]
    pub fn current<T: HttpToxic>(&self) -> Option<Current<T>> {
        let entry = self.0.shell.current(&self.0.entry)?;
        let Settings::Http(settings, _) = &entry.settings else { return None };
        let settings = Arc::clone(settings).into_any().downcast().ok()?;
        Some(Current { settings, entry })
    }

    /// Waits until that moment (for ever, if there is none), until the toxic is another
    /// than `seen`, or until it is taken back.
    pub async fn wait_or_update<T>(&self, seen: &Current<T>, until: Option<Time>) {
        self.0.shell.wait_or_update(&seen.entry, until).await;
    }

    /// The draws that belong to this request (or its sticky value), this toxic and
    /// `what`: none moves another.
    #[must_use]
    pub fn draws(&self, what: &str) -> Draws {
        self.0.seed.split(what).at(self.0.position)
    }

    /// The branch of the seed tree for draws along a body, keyed to its offsets.
    #[must_use]
    pub fn seed(&self, what: &str) -> Seed {
        self.0.seed.split(what).split_n(self.0.position)
    }

    /// Whether the toxic was taken back, or its window has closed: what a body still
    /// meets on its way must not outlive it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.wait_for_end().now_or_never().is_some()
    }

    /// The client's address; none on a Unix socket.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        self.0.client
    }

    /// What the toxic keeps of the client's connection; it survives updates.
    #[must_use]
    pub fn of_connection<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.0.shell.connection().get(self.0.entry.id)
    }

    /// Says that the fault did something; once for a request, however often it is said.
    pub fn acted(&self) {
        if !self.0.acted.swap(true, Ordering::Relaxed) {
            self.0.shell.acted(&self.0.entry);
        }
    }

    /// What all requests share for this toxic; it survives updates.
    #[must_use]
    pub fn shared<T: Default + Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.entry.shared.get()
    }
}

/// The settings of a toxic at some moment.
pub struct Current<T> {
    /// The settings.
    pub settings: Arc<T>,
    entry: Arc<Entry>,
}

/// One fault that a request meets.
pub(super) struct Link {
    pub(super) settings: Arc<dyn HttpSettings>,
    pub(super) matcher: Arc<Match>,
    pub(super) cx: Cx,
}

impl Link {
    /// Whether the fault takes this one of the requests it is meant for. Asked once
    /// for each: it counts.
    pub(super) fn takes(&self) -> bool {
        let (entry, mut toxicity) = (&self.cx.0.entry, self.cx.draws("toxicity"));
        let ordinal = entry.count_matched();
        entry.spec.when.selects(Some(ordinal), self.cx.client()) && toxicity.chance(entry.spec.toxicity)
    }
}

/// The faults that a request meets.
pub struct Chain {
    pub(super) links: Vec<Link>,
    pub(super) room: Room,
    /// `Host` is there for the faults alone.
    pub(super) host_shown: bool,
    pub(super) upstream: Box<dyn Upstream>,
}

impl Chain {
    /// The faults of `plan` that the request meets; `None` if there are none, which
    /// costs no allocation.
    #[must_use]
    pub fn new(
        plan: &Plan,
        key: &RequestKey,
        head: &Parts,
        shell: &Arc<dyn Shell>,
        upstream: impl Upstream,
    ) -> Option<Self> {
        let mut links = Vec::new();
        let room = Room { shell: Arc::clone(shell), permit: Mutex::default() };
        for entry in plan.entries() {
            let Settings::Http(settings, matcher) = &entry.settings else { continue };
            if !matcher.request(head) || !entry.spec.when.window(entry.added, shell.now()).open {
                continue;
            }
            let seed = entry.request_seed(&key.seed);
            let sticky = matcher.sticky.as_ref().and_then(|sticky| sticky.value(head));
            let cx = Cx(Arc::new(Inner {
                shell: Arc::clone(shell),
                entry: Arc::clone(entry),
                position: sticky.map_or(key.number, position),
                client: key.client,
                seed,
                acted: AtomicBool::new(false),
            }));
            let link = Link { settings: settings.clone(), matcher: matcher.clone(), cx };
            if matcher.needs_answer() || (link.takes() && room.is_there()) {
                links.push(link);
            }
        }
        (!links.is_empty()).then(|| Self { links, room, host_shown: false, upstream: Box::new(upstream) })
    }

    /// Sends the request on its way.
    pub async fn run(mut self, mut request: Request) -> Answer {
        self.host_shown = host::show(&mut request);
        let chain = Arc::new(self);
        let answer = Next::first(&chain).run(request).await?;
        let Some(permit) = chain.room.take() else { return Ok(answer) };
        // It is under the fault until all of the answer has passed.
        if let Some(tunnel) = answer.extensions().get::<Tunnel>() {
            tunnel.keep(permit);
            return Ok(answer);
        }
        Ok(answer.map(|body| body.holding(permit)))
    }
}

/// The number that stands for a value.
fn position(value: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(value).as_bytes()[..8]);
    u64::from_le_bytes(first)
}
