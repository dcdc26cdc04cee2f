//! Putting proxies in place, all or none.
//!
//! First everything is checked and every listener opened; only then is anything
//! changed. An address that is in use may be held by a proxy that is about to go or
//! to be replaced: its listener is closed for the try, and opened again if it fails.

use std::io;
use std::sync::Arc;

use sabot_toxics::{Entry, Invalid};

use super::{Controller, bind};
use crate::http::Onward;
use crate::labels;
use crate::losses::Why;
use crate::metrics;
use crate::model::{ApplySummary, ControlError, Protocol, ProxyPatch, ProxySpec};
use crate::net::Bound;
use crate::net::timers::monotonic_now;
use crate::proxy::Proxy;
use crate::tls::{Slot, Tls};

/// What becomes of the toxics of a proxy that stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Toxics {
    /// They stay as they are.
    Given,
    /// They become what the configuration says, and so does `enabled`.
    Configured,
}

/// What is going to happen to one proxy.
struct Step {
    spec: ProxySpec,
    entries: Vec<Arc<Entry>>,
    /// The proxy of that name that there is.
    old: Option<Arc<Proxy>>,
    /// What it is to change in requests.
    onward: Onward,
    /// Its TLS, the files read.
    tls: Option<Arc<Tls>>,
    /// Whether the old one stays.
    stays: bool,
    bound: Option<Bound>,
}

impl Step {
    fn needs_listener(&self, toxics: Toxics) -> bool {
        let starts = match &self.old {
            Some(old) if self.stays => toxics == Toxics::Configured && !old.is_enabled(),
            _ => true,
        };
        starts && self.spec.enabled
    }

    /// A proxy whose place is taken.
    fn replaced(&self) -> Option<&Arc<Proxy>> {
        self.old.as_ref().filter(|_| !self.stays)
    }

    fn listen(&self) -> String {
        match &self.old {
            Some(old) if self.stays => old.listen(),
            _ => self.spec.listen.clone().unwrap_or_default(),
        }
    }
}

impl Controller {
    /// Puts proxies in place; those that are `leaving` give up their addresses. The
    /// caller holds the right to change.
    pub(super) async fn install(
        &self,
        specs: &[ProxySpec],
        toxics: Toxics,
        leaving: &[Arc<Proxy>],
    ) -> Result<ApplySummary, ControlError> {
        let mut steps = self.plan(specs, toxics)?;
        if let Err(error) = open(&mut steps, toxics).await {
            let replaced: Vec<_> = steps.iter().filter_map(Step::replaced).chain(leaving).cloned().collect();
            let in_use = matches!(&error, ControlError::Bind { source, .. }
                if source.kind() == io::ErrorKind::AddrInUse);
            if !in_use || replaced.is_empty() {
                return Err(error);
            }
            self.open_in_place_of(&replaced, &mut steps, toxics).await?;
        }
        let mut summary = ApplySummary::default();
        for step in steps {
            self.take(step, toxics, &mut summary).await?;
        }
        Ok(summary)
    }

    /// Checks everything that can be checked without a socket.
    fn plan(&self, specs: &[ProxySpec], toxics: Toxics) -> Result<Vec<Step>, ControlError> {
        let mut steps: Vec<Step> = Vec::with_capacity(specs.len());
        for spec in specs {
            // Of several, which one it is.
            let of_it = |Invalid { field, mut message }| {
                if specs.len() > 1 && !spec.name.is_empty() {
                    message += &format!(" (proxy `{}`)", spec.name);
                }
                Invalid { field, message }
            };
            check(spec).map_err(of_it)?;
            let onward = Onward::new(spec).map_err(of_it)?;
            if steps.iter().any(|step| step.spec.name == spec.name) {
                let message = format!("`{}` is given twice", spec.name);
                return Err(Invalid::new("name", message).into());
            }
            let make = |spec: &sabot_toxics::ToxicSpec| {
                Entry::new(spec.clone(), self.inner.shell.next_id(), monotonic_now(), 1).map(Arc::new)
            };
            let entries = spec.toxics.iter().map(make).collect::<Result<_, _>>()?;
            let old = self.find(&spec.name).ok();
            let listen = spec.listen.as_deref().unwrap_or_default();
            let stays = old.as_ref().is_some_and(|old| {
                old.speaks_as(spec)
                    && old.tls.as_ref().map(|tls| &tls.spec) == spec.tls.as_ref()
                    && old.is_at(listen, &spec.upstream)
            });
            let store = &self.inner.shell.ca;
            let tls = spec.tls.as_ref().map(|tls| Tls::new(tls, spec.protocol, &spec.upstream, store));
            let tls = tls.transpose().map_err(|error| of_it(error.within("tls")))?.map(Arc::new);
            let mut spec = spec.clone();
            // Toxiproxy's clients, which populate at the start of every suite, know of no labels; approvals and
            // scopes hang on them, so they outlive a replacement unless others are given.
            if toxics == Toxics::Given
                && spec.labels.is_empty()
                && let Some(old) = &old
            {
                spec.labels = old.labels();
            }
            steps.push(Step { spec, entries, old, onward, tls, stays, bound: None });
        }
        Ok(steps)
    }

    /// Tries again with the listeners of those closed that are to be replaced.
    async fn open_in_place_of(
        &self,
        replaced: &[Arc<Proxy>],
        steps: &mut [Step],
        toxics: Toxics,
    ) -> Result<(), ControlError> {
        steps.iter_mut().for_each(|step| step.bound = None);
        let closed: Vec<_> =
            replaced.iter().filter(|proxy| proxy.stop_listening().is_some()).cloned().collect();
        let opened = open(steps, toxics).await;
        if opened.is_err() {
            steps.iter_mut().for_each(|step| step.bound = None);
            for proxy in closed {
                self.reopen(&proxy).await;
            }
        }
        opened
    }

    /// Carries out what was checked and opened.
    async fn take(&self, step: Step, toxics: Toxics, summary: &mut ApplySummary) -> Result<(), ControlError> {
        let shell = &self.inner.shell;
        let proxy = match &step.old {
            Some(old) if step.stays => {
                if let (Toxics::Configured, Some(slot), Some(tls)) = (toxics, &old.tls, step.tls) {
                    // The files may hold something else by now.
                    slot.set(tls);
                }
                if toxics == Toxics::Configured && self.follow(old, step.spec, step.bound).await? {
                    summary.changed.push(old.name.clone());
                }
                Arc::clone(old)
            }
            old => {
                if let Some(old) = old {
                    self.stop(old, Why::Replaced).await;
                    metrics::publish_proxy(old);
                    summary.changed.push(old.name.clone());
                } else {
                    summary.created.push(step.spec.name.clone());
                }
                let slot = step.spec.tls.clone().zip(step.tls).map(|(spec, tls)| Slot::new(spec, tls));
                let proxy = Arc::new(Proxy::new(shell, &step.spec, step.onward, slot, step.entries));
                self.write().insert(step.spec.name.clone(), Arc::clone(&proxy));
                if let Some(bound) = step.bound {
                    proxy.start(shell, bound);
                }
                self.inner.expiry.changed();
                proxy
            }
        };
        if toxics == Toxics::Configured {
            proxy.set_configured();
        }
        Ok(())
    }

    /// Makes a proxy that stays what the configuration says. True if it changed.
    async fn follow(
        &self,
        proxy: &Arc<Proxy>,
        spec: ProxySpec,
        bound: Option<Bound>,
    ) -> Result<bool, ControlError> {
        let mut changed = proxy.reconcile_toxics(&self.inner.shell, &spec.toxics)?;
        changed |= proxy.set_labels(spec.labels);
        self.inner.expiry.changed();
        if let Some(bound) = bound {
            proxy.start(&self.inner.shell, bound);
            changed = true;
        } else if !spec.enabled && proxy.is_enabled() {
            self.stop(proxy, Why::Disabled).await;
            changed = true;
        }
        Ok(changed)
    }

    /// Carries out [`Controller::update`].
    pub(super) async fn readdress(&self, proxy: &Arc<Proxy>, patch: &ProxyPatch) -> Result<(), ControlError> {
        let view = proxy.view();
        if patch.upstream.as_deref() == Some("") {
            return Err(Invalid::new("upstream", "must not be empty").into());
        }
        Invalid::unless_printable("upstream", patch.upstream.as_deref().unwrap_or_default())?;
        if let (Some(tls), Some(upstream)) = (&proxy.tls, patch.upstream.as_deref()) {
            tls.spec.check_upstream(upstream).map_err(|error| error.within("tls"))?;
        }
        let listen =
            patch.listen.as_deref().filter(|text| !text.is_empty() && !proxy.is_at(text, &view.upstream));
        let upstream = patch.upstream.as_deref().filter(|text| !proxy.is_at(&view.listen, text));
        let enabled = patch.enabled.unwrap_or(view.enabled);
        let restarts = listen.is_some() || !view.enabled;
        let bound = match listen {
            _ if !enabled || !restarts => None,
            None => Some(bind(&view.listen).await?),
            Some(listen) => Some(self.bind_elsewhere(proxy, listen).await?),
        };
        if let Some(listen) = listen.filter(|_| !enabled) {
            listen
                .parse::<crate::net::Address>()
                .map_err(|error| Invalid::new("listen", error.to_string()))?;
        }
        if listen.is_some() || !enabled {
            drop(proxy.stop_listening());
        }
        if !enabled {
            self.inner.lose(proxy, Why::Disabled);
        }
        if listen.is_some() || upstream.is_some() {
            proxy.readdress(listen, upstream);
        }
        if listen.is_some() || upstream.is_some() || !enabled {
            proxy.end_connections().await;
        }
        if let Some(bound) = bound {
            proxy.start(&self.inner.shell, bound);
        }
        Ok(())
    }

    /// Opens another listener for a proxy. If the new address overlaps the old one
    /// (another interface, the same port), the old one has to go first, and comes
    /// back if the new one cannot be had.
    async fn bind_elsewhere(&self, proxy: &Arc<Proxy>, listen: &str) -> Result<Bound, ControlError> {
        match bind(listen).await {
            Err(ControlError::Bind { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && proxy.is_enabled() =>
            {
                drop(proxy.stop_listening());
                let bound = bind(listen).await;
                if bound.is_err() {
                    self.reopen(proxy).await;
                }
                bound
            }
            bound => bound,
        }
    }

    /// Opens a listener again that was closed for a moment.
    async fn reopen(&self, proxy: &Arc<Proxy>) {
        match bind(&proxy.listen()).await {
            Ok(bound) => proxy.start(&self.inner.shell, bound),
            Err(error) => {
                tracing::error!(proxy = %proxy.name, %error, "failed to listen again, the proxy is disabled");
                self.inner.lose(proxy, Why::Disabled);
            }
        }
    }
}

/// Opens all listeners that are needed, or none.
async fn open(steps: &mut [Step], toxics: Toxics) -> Result<(), ControlError> {
    for step in steps.iter_mut().filter(|step| step.needs_listener(toxics)) {
        step.bound = Some(bind(&step.listen()).await?);
    }
    Ok(())
}

fn check(spec: &ProxySpec) -> Result<(), Invalid> {
    if spec.name.is_empty() {
        return Err(Invalid::new("name", "must not be empty"));
    }
    if spec.upstream.is_empty() {
        return Err(Invalid::new("upstream", "must not be empty"));
    }
    Invalid::unless_printable("name", &spec.name)?;
    Invalid::unless_printable("upstream", &spec.upstream)?;
    if let Some(listen) = &spec.listen {
        listen.parse::<crate::net::Address>().map_err(|error| Invalid::new("listen", error.to_string()))?;
    }
    check_cap(spec)?;
    labels::check(&spec.labels)?;
    for (index, toxic) in spec.toxics.iter().enumerate() {
        let valid = toxic
            .validate()
            .and_then(|()| crate::proxy::check_fits(spec.protocol, spec.tls.as_ref(), toxic.kind));
        valid.map_err(|error| error.within(&format!("toxics[{index}]")))?;
        if spec.toxics[..index].iter().any(|other| other.name == toxic.name) {
            let message = format!("`{}` is given twice", toxic.name);
            return Err(Invalid::new(format!("toxics[{index}].name"), message));
        }
    }
    Ok(())
}

/// Refuses a cap on faults that means nothing.
fn check_cap(spec: &ProxySpec) -> Result<(), Invalid> {
    let message = match spec.max_active_faults {
        Some(_) if spec.protocol != Protocol::Http => {
            "counts requests, and this proxy relays tcp: create it with `protocol` http, or leave it out"
        }
        Some(0) => "must be at least 1: leave it out for no limit, or give the toxics a `toxicity` of 0",
        _ => return Ok(()),
    };
    Err(Invalid::new("max_active_faults", message))
}
