//! What injections have on one proxy. It lies in the same chain as its toxics, behind them,
//! and is told apart by its owner.

use std::sync::Arc;

use sabot_toxics::{Entry, Invalid, ToxicSpec};

use super::{Proxy, State, toxics};
use crate::model::{ControlError, ToxicView};
use crate::shell::Shell;

impl Proxy {
    /// Adds a fault of an injection at the end of its chain.
    pub(crate) fn inject(
        &self,
        shell: &Shell,
        injection: &str,
        spec: ToxicSpec,
    ) -> Result<Arc<Entry>, ControlError> {
        if injection.is_empty() {
            return Err(Invalid::new("injection", "must not be empty").into());
        }
        Invalid::unless_printable("injection", injection)?;
        let mut state = self.lock();
        self.accepts_fault(&state, &spec)?;
        let entry = Arc::new(self.new_entry(shell, spec)?.owned_by(injection));
        let mut toxics = state.toxics.clone();
        toxics.push(Arc::clone(&entry));
        self.set_toxics(&mut state, toxics, false);
        Ok(entry)
    }

    /// What [`Self::inject`] would refuse.
    pub(crate) fn check_fault(&self, spec: &ToxicSpec) -> Result<(), ControlError> {
        self.accepts_fault(&self.lock(), spec)?;
        Ok(spec.settings().map(drop)?)
    }

    fn accepts_fault(&self, state: &State, spec: &ToxicSpec) -> Result<(), ControlError> {
        spec.validate()?;
        toxics::check_fits(self.protocol, self.tls.as_ref().map(|tls| &tls.spec), spec.kind)?;
        // Nothing passes that it could act on, and enabling it must not break anything.
        if state.running.is_none() {
            return Err(ControlError::ProxyDisabled { name: self.name.clone() });
        }
        match state.injected(&spec.name) {
            Some(_) => Err(ControlError::ToxicExists { name: spec.name.clone() }),
            None => Ok(()),
        }
    }

    /// Takes off what an injection has here. False if that is nothing.
    pub(crate) fn revert(&self, injection: &str) -> bool {
        let mut state = self.lock();
        let keeps = |entry: &&Arc<Entry>| entry.owner.as_deref() != Some(injection);
        let rest: Vec<_> = state.toxics.iter().filter(keeps).cloned().collect();
        let found = rest.len() < state.toxics.len();
        if found {
            self.set_toxics(&mut state, rest, false);
        }
        found
    }

    /// Takes off what injections have here; their ids.
    pub(crate) fn remove_injected(&self) -> Vec<String> {
        let mut state = self.lock();
        let (set, injected): (Vec<_>, Vec<_>) =
            state.toxics.iter().cloned().partition(|entry| entry.owner.is_none());
        if !injected.is_empty() {
            self.set_toxics(&mut state, set, false);
        }
        owners(&injected)
    }

    /// One injected fault.
    pub(crate) fn injected(&self, name: &str) -> Option<ToxicView> {
        self.lock().injected(name).map(|entry| toxics::view(entry))
    }
}

impl State {
    /// Where in the chain the toxics that people set end.
    pub(super) fn layer(&self) -> usize {
        self.toxics.iter().take_while(|entry| entry.owner.is_none()).count()
    }

    fn injected(&self, name: &str) -> Option<&Arc<Entry>> {
        self.toxics[self.layer()..].iter().find(|entry| entry.spec.name == name)
    }

    /// What a change by the routes for toxics gets to hear of an unknown name.
    pub(super) fn no_toxic(&self, name: &str) -> ControlError {
        let owner = self.injected(name).and_then(|entry| entry.owner.as_deref());
        match owner {
            Some(injection) => {
                ControlError::Injected { name: name.to_owned(), injection: injection.to_owned() }
            }
            None => ControlError::ToxicNotFound { name: name.to_owned() },
        }
    }
}

/// The injections that own them, each once.
pub(super) fn owners(entries: &[Arc<Entry>]) -> Vec<String> {
    let mut owners: Vec<_> =
        entries.iter().filter_map(|entry| Some(entry.owner.as_deref()?.to_owned())).collect();
    owners.sort();
    owners.dedup();
    owners
}
