//! How many faults came on and went off, for metrics: counted as it happens, so that none is missed.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Event;
use crate::injection::{Injection, State};

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Faults that came on or went off, one for each proxy.
    pub faults: BTreeMap<FaultEvent, u64>,
    /// Injections that are over, by how they ended.
    pub ended: BTreeMap<&'static str, u64>,
    /// Whose faults are on.
    on: BTreeSet<String>,
}

/// A fault comes on or goes off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultEvent {
    /// Its kind.
    pub kind: &'static str,
    /// The proxy; `other` for those that come when there are very many.
    pub target: String,
    /// `start` or `stop`.
    pub event: &'static str,
    /// How: `started` or `resumed`; `completed`, `aborted`, `reverted` or `failed`.
    pub outcome: &'static str,
}

/// What is counted apart. Proxies come and go, and a server may run for a year.
const MOST: usize = 10_000;

impl Tally {
    pub(super) fn count(&mut self, event: &Event, injection: &Injection) {
        let (event, outcome) = match event {
            Event::Started { .. } => ("start", "started"),
            Event::Resumed { .. } => ("start", "resumed"),
            Event::Ended { state, .. } => {
                let state = State::from(*state).as_str();
                *self.ended.entry(state).or_default() += 1;
                // What never came on does not go off.
                if !self.on.remove(&injection.id) {
                    return;
                }
                ("stop", state)
            }
            _ => return,
        };
        if event == "start" {
            self.on.insert(injection.id.clone());
        }
        let kind = injection.request.fault.kind().name;
        for target in &injection.targets {
            let mut key = FaultEvent { kind, target: target.clone(), event, outcome };
            if self.faults.len() >= MOST && !self.faults.contains_key(&key) {
                "other".clone_into(&mut key.target);
            }
            *self.faults.entry(key).or_default() += 1;
        }
    }
}
