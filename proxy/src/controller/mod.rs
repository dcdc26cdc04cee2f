//! The one owner of all state. Every way in (Toxiproxy's routes, `/v1`, the
//! configuration, a Rust test) is a thin translation to these methods.
//!
//! A call checks everything before it changes anything. No call waits for the data
//! plane for longer than a bounded moment, and those that change toxics do not
//! wait for it at all. The rooms:
//!
//! - `install`: putting proxies in place, all or none
//! - `toxics`: their toxics
//! - `injections`: faults that injections own
//! - `seen`: what there is to see of connections, requests and counters

mod injections;
mod install;
mod seen;
mod toxics;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sabot_toxics::Invalid;

use crate::expiry::{Expiry, Watch};
use crate::labels;
use crate::losses::{Losses, Why};
use crate::metrics;
use crate::model::{ApplySummary, ControlError, ProxyPatch, ProxySpec, ProxyView};
use crate::net::timers::monotonic_now;
use crate::net::{Address, Bound, Workers};
use crate::options::Options;
use crate::proxy::Proxy;
use crate::shell::Shell;
use crate::tls::{Authority, CaError};
use install::Toxics;

/// How long a listener's name may take to resolve: other changes wait meanwhile, and
/// clients of the API for no longer than 5 s.
const BIND_LIMIT: Duration = Duration::from_secs(3);

/// How long [`Controller::shutdown`] waits for the threads, connections ended.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Owner of proxies and toxics. Clones are handles of the same one; when the last
/// is dropped, everything is closed.
#[derive(Clone)]
pub struct Controller {
    inner: Arc<Inner>,
}

struct Inner {
    shell: Arc<Shell>,
    seed: u64,
    proxies: RwLock<BTreeMap<String, Arc<Proxy>>>,
    /// Held by whoever creates, moves or removes proxies: one at a time.
    changing: tokio::sync::Mutex<()>,
    expiry: Expiry,
    /// Who is told when an injection lost something.
    losses: Losses,
    stopping: AtomicBool,
}

impl Inner {
    /// Removes the toxics whose lease has ended; says when to look again.
    fn expire(&self) -> Watch {
        let proxies: Vec<_> =
            self.proxies.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let now = monotonic_now();
        let expire = |proxy: &Arc<Proxy>| {
            let (next, injections) = proxy.expire(now);
            self.losses.tell(&proxy.name, injections, Why::Expired);
            next
        };
        let next = proxies.iter().filter_map(expire).min();
        next.map_or(Watch::Idle, Watch::Until)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let proxies = self.proxies.get_mut().unwrap_or_else(PoisonError::into_inner);
        for proxy in proxies.values() {
            drop(proxy.stop_listening());
            proxy.registry.live().iter().for_each(|connection| connection.close());
        }
    }
}

impl Controller {
    /// Starts the workers.
    ///
    /// # Errors
    /// The system gives no threads or descriptors.
    pub fn start(options: &Options) -> Result<Self, ControlError> {
        let workers = Workers::start(options.workers).map_err(ControlError::Start)?;
        let shell = Arc::new(Shell::new(workers, options));
        let inner = Inner {
            shell,
            seed: options.seed,
            proxies: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            expiry: Expiry::default(),
            losses: Losses::default(),
            stopping: AtomicBool::new(false),
        };
        let inner = Arc::new(inner);
        let watched = Arc::downgrade(&inner);
        let watch =
            inner.expiry.clone().watch(move || watched.upgrade().map_or(Watch::Over, |it| it.expire()));
        inner.shell.workers.spawn_on(0, watch);
        Ok(Self { inner })
    }

    /// The run's seed: with it, every decision comes again.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// Creates a proxy.
    ///
    /// # Errors
    /// The name is taken, a field cannot be what it is, or nothing can listen there.
    pub async fn create(&self, spec: ProxySpec) -> Result<ProxyView, ControlError> {
        let _changing = self.change().await?;
        if self.find(&spec.name).is_ok() {
            return Err(ControlError::ProxyExists { name: spec.name });
        }
        self.install(std::slice::from_ref(&spec), Toxics::Given, &[]).await?;
        self.proxy(&spec.name)
    }

    /// Creates or replaces proxies, all or none. One that has the same addresses
    /// already is left untouched, its toxics included.
    ///
    /// # Errors
    /// A field cannot be what it is (named with its place), or nothing can listen
    /// on one of the addresses.
    pub async fn populate(&self, specs: Vec<ProxySpec>) -> Result<Vec<ProxyView>, ControlError> {
        let _changing = self.change().await?;
        self.install(&specs, Toxics::Given, &[]).await?;
        specs.iter().map(|spec| self.proxy(&spec.name)).collect()
    }

    /// Makes the proxies of a configuration what it says, toxics included, all or
    /// none: those that an earlier configuration had and this one has not are
    /// removed, proxies that came by other ways are left alone unless named.
    ///
    /// # Errors
    /// As [`Self::populate`].
    pub async fn apply(&self, specs: Vec<ProxySpec>) -> Result<ApplySummary, ControlError> {
        let _changing = self.change().await?;
        let gone: Vec<_> = self
            .all()
            .into_iter()
            .filter(|proxy| proxy.is_configured() && !specs.iter().any(|spec| spec.name == proxy.name))
            .collect();
        let mut summary = self.install(&specs, Toxics::Configured, &gone).await?;
        for proxy in gone {
            self.remove(&proxy).await;
            summary.removed.push(proxy.name.clone());
        }
        Ok(summary)
    }

    /// All proxies, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<ProxyView> {
        self.all().iter().map(|proxy| proxy.view()).collect()
    }

    /// One proxy.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn proxy(&self, name: &str) -> Result<ProxyView, ControlError> {
        Ok(self.find(name)?.view())
    }

    /// Changes a proxy's addresses, its labels, or whether it accepts. Another address drops its
    /// connections and keeps its toxics; one that means the same changes nothing.
    /// When this returns from disabling, a connect is refused.
    ///
    /// # Errors
    /// There is none of that name, a field cannot be what it is, or nothing can
    /// listen there; then it is as it was.
    pub async fn update(&self, name: &str, patch: ProxyPatch) -> Result<ProxyView, ControlError> {
        let _changing = self.change().await?;
        let proxy = self.find(name)?;
        patch.labels.as_ref().map_or(Ok(()), labels::check)?;
        self.readdress(&proxy, &patch).await?;
        if let Some(labels) = patch.labels {
            proxy.set_labels(labels);
        }
        Ok(proxy.view())
    }

    /// Removes a proxy, its listener and its connections.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn delete(&self, name: &str) -> Result<(), ControlError> {
        let _changing = self.change().await?;
        let proxy = self.find(name)?;
        self.remove(&proxy).await;
        Ok(())
    }

    /// Enables every proxy and removes every toxic, or does nothing. What injections own
    /// stays.
    ///
    /// # Errors
    /// A proxy that is disabled can no longer listen on its address.
    pub async fn reset(&self) -> Result<(), ControlError> {
        let _changing = self.change().await?;
        let mut bound = Vec::new();
        for proxy in self.all().into_iter().filter(|proxy| !proxy.is_enabled()) {
            let listener = bind(&proxy.listen()).await?;
            bound.push((proxy, listener));
        }
        for (proxy, listener) in bound {
            proxy.start(&self.inner.shell, listener);
        }
        self.all().iter().for_each(|proxy| proxy.remove_all_toxics());
        Ok(())
    }

    /// Sabot's own CA, made if there is none yet. It is what signs certificates for proxies
    /// that terminate TLS without any of their own.
    ///
    /// # Errors
    /// Its directory cannot be used.
    pub fn authority(&self) -> Result<Arc<Authority>, CaError> {
        self.inner.shell.ca.get()
    }

    /// Hands what was counted to the metrics; see [`crate::metrics`].
    pub fn publish(&self) {
        metrics::publish(self.all().iter().map(AsRef::as_ref), &self.inner.shell);
    }

    /// Stops accepting, lets connections end by themselves until `drain` is over,
    /// then ends them and the workers. HTTP clients are told at once, so that those
    /// without a request under way are not waited for. Nothing can be changed from here on.
    pub async fn shutdown(&self, drain: Duration) {
        self.inner.stopping.store(true, Ordering::Release);
        let _changing = self.inner.changing.lock().await;
        let proxies = self.all();
        for proxy in &proxies {
            // Told before anybody sees that the end has come; then those that came meanwhile.
            proxy.leave_connections();
            drop(proxy.stop_listening());
            proxy.leave_connections();
        }
        let end = tokio::time::Instant::now() + drain;
        for proxy in &proxies {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            if !proxy.registry.wait_empty(left).await {
                tracing::info!(proxy = %proxy.name, left = proxy.registry.len(), "ending connections");
            }
        }
        for proxy in &proxies {
            proxy.end_connections().await;
        }
        if !self.inner.shell.workers.stop(STOP_LIMIT).await {
            tracing::warn!("workers did not stop in time");
        }
    }

    /// Runs a change on a worker and blocks until it is done: for callers that
    /// cannot await it, on whatever thread they are.
    pub(crate) fn wait<T, F>(&self, change: impl FnOnce(Self) -> F) -> Result<T, ControlError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ControlError>> + Send + 'static,
    {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let change = change(self.clone());
        self.inner.shell.workers.spawn_on(0, async move {
            // Refused only if nobody waits any more.
            let _ = tell.send(change.await);
        });
        // The sender is dropped only with the worker.
        told.recv().unwrap_or(Err(ControlError::ShuttingDown))
    }

    async fn change(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, ControlError> {
        self.unless_stopping()?;
        let guard = self.inner.changing.lock().await;
        self.unless_stopping()?;
        Ok(guard)
    }

    fn unless_stopping(&self) -> Result<(), ControlError> {
        if self.inner.stopping.load(Ordering::Acquire) {
            return Err(ControlError::ShuttingDown);
        }
        Ok(())
    }

    /// Takes a proxy out, and ends all that it has.
    async fn remove(&self, proxy: &Proxy) {
        self.write().remove(&proxy.name);
        self.stop(proxy, Why::Deleted).await;
        metrics::publish_proxy(proxy);
    }

    fn find(&self, name: &str) -> Result<Arc<Proxy>, ControlError> {
        let proxies = self.inner.proxies.read().unwrap_or_else(PoisonError::into_inner);
        proxies.get(name).cloned().ok_or_else(|| ControlError::ProxyNotFound { name: name.to_owned() })
    }

    fn all(&self) -> Vec<Arc<Proxy>> {
        self.inner.proxies.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Arc<Proxy>>> {
        self.inner.proxies.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("seed", &self.inner.seed).finish_non_exhaustive()
    }
}

/// Opens a listener on what people wrote.
async fn bind(listen: &str) -> Result<Bound, ControlError> {
    let address: Address = listen
        .parse()
        .map_err(|error: crate::net::AddressError| Invalid::new("listen", error.to_string()))?;
    let failed = |source| ControlError::Bind { address: listen.to_owned(), source };
    let bound = tokio::time::timeout(BIND_LIMIT, Bound::bind(&address)).await;
    bound.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)
}
