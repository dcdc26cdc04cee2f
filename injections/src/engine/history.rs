//! Which faults were on at a moment of the past: was it us?

use std::collections::BTreeMap;

use super::{Engine, EngineError};
use crate::event::Event;
use crate::injection::Injection;
use crate::journal::{Filter, Stored};

/// No fault is on for longer (see [`Request::check`](crate::request::Request::check)), so what was on began
/// after.
const LONGEST_MS: u64 = 31 * 86_400_000;

/// An injection has a handful of events; a page of them is a few megabytes.
const PAGE: u32 = 5_000;

impl Engine {
    /// The injections whose faults were on at `at_ms`, in milliseconds since 1970, as they are now; the one
    /// that began first comes first. By the journal: what a server that was killed had no time to write down
    /// counts until its time was up, as the fault may have been on.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn on_at(&self, at_ms: u64) -> Result<Vec<Injection>, EngineError> {
        self.on_between(at_ms, at_ms.saturating_add(1))
    }

    /// The same of a time: those that were on at some moment from `from_ms` on and before `to_ms`.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn on_between(&self, from_ms: u64, to_ms: u64) -> Result<Vec<Injection>, EngineError> {
        let mut on: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut filter = Filter {
            since_ms: Some(from_ms.saturating_sub(LONGEST_MS)),
            until_ms: Some(to_ms),
            action: Some("injection".to_owned()),
            after: Some(0),
            most: Some(PAGE),
            ..Filter::default()
        };
        loop {
            let page = self.audit(&filter)?;
            let Some(last) = page.last().map(|stored| stored.seq) else { break };
            page.into_iter().for_each(|stored| turn(&mut on, stored, from_ms));
            filter.after = Some(last);
        }
        on.retain(|_, (_, until)| from_ms < *until);
        let mut ids: Vec<_> = on.into_iter().map(|(id, (began, _))| (began, id)).collect();
        ids.sort();
        ids.iter().map(|(_, id)| self.injection(id)).collect()
    }
}

/// What an event changes of which faults are on: when each began, and when it ends at the latest.
fn turn(on: &mut BTreeMap<String, (u64, u64)>, stored: Stored, from_ms: u64) {
    match stored.event {
        Event::Started { id, duration_ms, .. } | Event::Resumed { id, duration_ms, .. } => {
            let began = on.get(&id).map_or(stored.at_ms, |(began, _)| *began);
            on.insert(id, (began, stored.at_ms.saturating_add(duration_ms)));
        }
        // Over before anybody asks for it.
        Event::Ended { id, .. } if stored.at_ms <= from_ms => drop(on.remove(&id)),
        Event::Ended { id, .. } => {
            if let Some((_, until)) = on.get_mut(&id) {
                // A server that was down writes it down later than it was.
                *until = stored.at_ms.min(*until);
            }
        }
        _ => {}
    }
}
