//! The toxics of one proxy: added, changed, removed, expired. Every change is a new
//! plan, put into force for all connections without waiting for any of them.

use std::sync::Arc;

use sabot_toxics::{Direction, Entry, Invalid, Kind, Phase, Plan, Time, TlsStep, ToxicSpec};

use super::injected::owners;
use super::{Proxy, State};
use crate::event::What;
use crate::model::{ControlError, Protocol, ToxicPatch, ToxicView};
use crate::net::timers::monotonic_now;
use crate::shell::Shell;
use crate::tls::TlsSpec;

impl Proxy {
    pub(crate) fn toxic(&self, name: &str) -> Result<ToxicView, ControlError> {
        let state = self.lock();
        Ok(view(state.find(name)?))
    }

    /// Adds a toxic at the end of its chain.
    pub(crate) fn add_toxic(&self, shell: &Shell, spec: ToxicSpec) -> Result<Arc<Entry>, ControlError> {
        spec.validate()?;
        check_fits(self.protocol, self.tls.as_ref().map(|tls| &tls.spec), spec.kind)?;
        let mut state = self.lock();
        if state.find(&spec.name).is_ok() {
            return Err(ControlError::ToxicExists { name: spec.name });
        }
        let entry = Arc::new(self.new_entry(shell, spec)?);
        let mut toxics = state.toxics.clone();
        toxics.insert(state.layer(), Arc::clone(&entry));
        self.set_toxics(&mut state, toxics, false);
        Ok(entry)
    }

    /// Changes a toxic, or nothing.
    pub(crate) fn update_toxic(&self, name: &str, patch: ToxicPatch) -> Result<Arc<Entry>, ControlError> {
        let mut state = self.lock();
        let old = state.find(name)?;
        let mut spec = match &patch.attributes {
            Some(attributes) => old.spec.with_attributes(attributes)?,
            None => old.spec.clone(),
        };
        spec.toxicity = patch.toxicity.unwrap_or(spec.toxicity);
        let anew = patch.when.is_some();
        spec.when = patch.when.unwrap_or(spec.when);
        spec.validate()?;
        let entry = self.updated(old, spec, anew)?;
        let mut toxics = state.toxics.clone();
        toxics.iter_mut().filter(|held| held.id == entry.id).for_each(|held| *held = Arc::clone(&entry));
        self.set_toxics(&mut state, toxics, false);
        Ok(entry)
    }

    pub(crate) fn remove_toxic(&self, name: &str) -> Result<(), ControlError> {
        let mut state = self.lock();
        let id = state.find(name)?.id;
        let toxics = state.toxics.iter().filter(|held| held.id != id).cloned().collect();
        self.set_toxics(&mut state, toxics, false);
        Ok(())
    }

    /// Removes what people and clients set.
    pub(crate) fn remove_all_toxics(&self) {
        let mut state = self.lock();
        if state.layer() > 0 {
            let injected = state.toxics[state.layer()..].to_vec();
            self.set_toxics(&mut state, injected, false);
        }
    }

    /// Removes the faults whose lease has ended. Says when the next one ends, and which
    /// injections lost something.
    pub(crate) fn expire(&self, now: Time) -> (Option<Time>, Vec<String>) {
        let mut state = self.lock();
        let is_over = |entry: &Entry| lease_end(entry).is_some_and(|end| end <= now);
        let (over, rest): (Vec<_>, Vec<_>) = state.toxics.iter().cloned().partition(|entry| is_over(entry));
        for entry in &over {
            tracing::info!(proxy = %self.name, toxic = %entry.spec.name, "toxic expired");
        }
        if !over.is_empty() {
            self.set_toxics(&mut state, rest, true);
        }
        (state.toxics.iter().filter_map(|entry| lease_end(entry)).min(), owners(&over))
    }

    /// Makes its toxics what `wanted` says: those that are the same stay
    /// untouched, those of the same name and kind are updated. True if anything
    /// changed.
    pub(crate) fn reconcile_toxics(&self, shell: &Shell, wanted: &[ToxicSpec]) -> Result<bool, ControlError> {
        let mut state = self.lock();
        let entry = |spec: &ToxicSpec| {
            let old = state.toxics[..state.layer()].iter().find(|entry| {
                let held = &entry.spec;
                held.name == spec.name && held.kind == spec.kind && held.stream == spec.stream
            });
            match old {
                Some(old) if old.spec == *spec => Ok(Arc::clone(old)),
                Some(old) => self.updated(old, spec.clone(), old.spec.when != spec.when),
                None => self.new_entry(shell, spec.clone()).map(Arc::new),
            }
        };
        let mut toxics = wanted.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        toxics.extend_from_slice(&state.toxics[state.layer()..]);
        let same = |(a, b): (&Arc<Entry>, &Arc<Entry>)| Arc::ptr_eq(a, b);
        if toxics.len() == state.toxics.len() && toxics.iter().zip(&state.toxics).all(same) {
            return Ok(false);
        }
        self.set_toxics(&mut state, toxics, false);
        Ok(true)
    }

    pub(super) fn new_entry(&self, shell: &Shell, spec: ToxicSpec) -> Result<Entry, Invalid> {
        Entry::new(spec, shell.next_id(), monotonic_now(), self.registry.accepted() + 1)
    }

    /// The same toxic with other settings; `anew` lets its times and counts begin
    /// again, its lease too.
    fn updated(&self, old: &Entry, spec: ToxicSpec, anew: bool) -> Result<Arc<Entry>, Invalid> {
        let mut entry = old.with_update(spec)?;
        if anew {
            entry.restart(monotonic_now(), self.registry.accepted() + 1);
        }
        Ok(Arc::new(entry))
    }

    /// Puts the plan into force for all connections, and waits for none of them.
    pub(super) fn set_toxics(&self, state: &mut State, toxics: Vec<Arc<Entry>>, expired: bool) {
        // Told first: that a toxic acted must not be heard before that it came.
        self.tell_changes(&state.toxics, &toxics, expired);
        state.toxics = toxics;
        self.policy.set_plan(Arc::new(Plan::new(state.toxics.clone())));
        for connection in self.registry.live() {
            connection.wake();
        }
    }

    fn tell_changes(&self, old: &[Arc<Entry>], new: &[Arc<Entry>], expired: bool) {
        let of = |toxics: &[Arc<Entry>], id: u64| toxics.iter().find(|entry| entry.id == id).cloned();
        let names = |entry: &Entry| (entry.spec.name.clone(), entry.spec.kind.name);
        for entry in old.iter().filter(|entry| of(new, entry.id).is_none()) {
            let (toxic, kind) = names(entry);
            self.events.tell(|| What::ToxicRemoved { toxic, kind, expired });
        }
        for entry in new {
            let (toxic, kind) = names(entry);
            match of(old, entry.id) {
                None => self.events.tell(|| What::ToxicAdded { toxic, kind }),
                Some(held) if Arc::ptr_eq(&held, entry) => {}
                Some(_) => self.events.tell(|| What::ToxicUpdated { toxic, kind }),
            }
        }
    }
}

impl State {
    /// The toxic of that name which people or clients set.
    fn find(&self, name: &str) -> Result<&Arc<Entry>, ControlError> {
        let mut set = self.toxics[..self.layer()].iter();
        set.find(|entry| entry.spec.name == name).ok_or_else(|| self.no_toxic(name))
    }
}

/// How they look: the upstream chain first, then the downstream one.
pub(super) fn views(toxics: &[Arc<Entry>]) -> Vec<ToxicView> {
    let of = |direction| toxics.iter().filter(move |entry| entry.spec.stream == direction);
    Direction::BOTH.into_iter().flat_map(of).map(|entry| view(entry)).collect()
}

/// Refuses a toxic that could never act on a proxy that speaks something else.
pub(crate) fn check_fits(protocol: Protocol, tls: Option<&TlsSpec>, kind: &Kind) -> Result<(), Invalid> {
    if let Some(step) = kind.tls_step {
        return check_tls(step, tls, kind);
    }
    if kind.phase != Phase::Http || protocol == Protocol::Http {
        return Ok(());
    }
    let message = format!(
        "{} acts on HTTP requests and this proxy relays {}: create the proxy with `protocol` http",
        kind.name,
        protocol.as_str()
    );
    Err(Invalid::new("type", message))
}

fn check_tls(step: TlsStep, tls: Option<&TlsSpec>, kind: &Kind) -> Result<(), Invalid> {
    let terminates = tls.is_some_and(|tls| tls.terminate.is_some());
    if terminates || (step.is_outside() && tls.is_some_and(|tls| tls.passthrough)) {
        return Ok(());
    }
    let (needs, remedy) = if step.is_outside() {
        ("reads TLS of clients", "`tls.terminate` or `tls.passthrough`")
    } else {
        ("terminates TLS", "`tls.terminate`")
    };
    let message = format!("{} acts on a proxy that {needs}: create the proxy with {remedy}", kind.name);
    Err(Invalid::new("type", message))
}

/// When the server is to remove it.
pub(crate) fn lease_end(entry: &Entry) -> Option<Time> {
    Some(entry.added + entry.spec.when.expires_after?.get())
}

/// How a toxic looks now.
pub(crate) fn view(entry: &Entry) -> ToxicView {
    let spec = entry.spec.clone();
    let left = lease_end(entry).map(|end| end.saturating_since(monotonic_now()));
    ToxicView {
        name: spec.name,
        owner: entry.owner.as_deref().map(str::to_owned),
        kind: spec.kind,
        stream: spec.stream,
        toxicity: spec.toxicity,
        attributes: spec.attributes,
        when: spec.when,
        applied: entry.applied(),
        expires_in_ms: left.map(|left| (left.as_secs_f64() * 1e6).round() / 1e3),
    }
}
