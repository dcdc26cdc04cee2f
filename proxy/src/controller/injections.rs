//! The second layer on a proxy: faults that an injection owns. They come after the toxics
//! that people and clients set, under names of their own, and no route for toxics ends them.

use std::collections::BTreeMap;

use sabot_toxics::ToxicSpec;

use super::{Controller, Inner};
use crate::losses::{Lost, Why};
use crate::model::{ControlError, ToxicView};
use crate::proxy::{self, Proxy};

impl Controller {
    /// Adds a fault that `injection` owns, after the toxics in its chain; live connections
    /// have it at once. Several faults of one injection are told apart by their names.
    ///
    /// # Errors
    /// No such proxy, the proxy is disabled, an injected fault there has the name, a field
    /// cannot be what it is, or the server is shutting down.
    pub fn inject(&self, proxy: &str, injection: &str, spec: ToxicSpec) -> Result<ToxicView, ControlError> {
        self.unless_stopping()?;
        let proxy = self.find(proxy)?;
        let entry = proxy.inject(&self.inner.shell, injection, spec)?;
        self.inner.expiry.ends(proxy::lease_end(&entry));
        Ok(proxy::view(&entry))
    }

    /// The labels of all proxies, by name.
    #[must_use]
    pub fn labels(&self) -> Vec<(String, BTreeMap<String, String>)> {
        self.all().iter().map(|proxy| (proxy.name.clone(), proxy.labels())).collect()
    }

    /// What [`Self::inject`] would refuse now; changes nothing.
    ///
    /// # Errors
    /// As [`Self::inject`].
    pub fn check_fault(&self, proxy: &str, spec: &ToxicSpec) -> Result<(), ControlError> {
        self.unless_stopping()?;
        self.find(proxy)?.check_fault(spec)
    }

    /// One injected fault.
    ///
    /// # Errors
    /// No such proxy, or no injected fault of that name there.
    pub fn injected(&self, proxy: &str, fault: &str) -> Result<ToxicView, ControlError> {
        let shown = self.find(proxy)?.injected(fault);
        shown.ok_or_else(|| ControlError::ToxicNotFound { name: fault.to_owned() })
    }

    /// Takes all faults of an injection off a proxy; what they hold is handed on at once.
    /// False if there was none, or no such proxy. Waits for nothing and tells no
    /// [`Self::on_lost`]: whoever calls it knows.
    pub fn revert(&self, proxy: &str, injection: &str) -> bool {
        self.find(proxy).is_ok_and(|proxy| proxy.revert(injection))
    }

    /// Has `hook` called when an injection lost its faults on a proxy by other ways than
    /// [`Self::revert`]: the proxy was deleted, disabled or replaced, or a fault's
    /// `expires_after` was over. Once for each injection and event, after the faults are
    /// off, on the thread that took them off: it must not block.
    pub fn on_lost(&self, hook: impl Fn(Lost) + Send + Sync + 'static) {
        self.inner.losses.add(hook);
    }

    /// Stops a proxy and ends its connections; injections lose what they have on it.
    pub(super) async fn stop(&self, proxy: &Proxy, why: Why) {
        drop(proxy.stop_listening());
        self.inner.lose(proxy, why);
        proxy.end_connections().await;
    }
}

impl Inner {
    /// Takes off what injections have on a proxy, and says so.
    pub(super) fn lose(&self, proxy: &Proxy, why: Why) {
        self.losses.tell(&proxy.name, proxy.remove_injected(), why);
    }
}
