//! What the engine counts: faults that come on, go off and are on, injections, and the journal.

use std::collections::BTreeMap;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use sabot_injections::engine::Engine;
use sabot_injections::injection::State;

/// Faults of injections that came on or went off, by kind and proxy.
pub const FAULT_EVENTS: &str = "sabot_fault_events_total";
/// Faults of injections that are on, by kind and proxy.
pub const FAULTS_ACTIVE: &str = "sabot_faults_active";
/// Injections that are not over, by state.
pub const INJECTIONS: &str = "sabot_injections";
/// Injections that are over, by how they ended.
pub const INJECTIONS_ENDED: &str = "sabot_injections_ended_total";
/// Whether the journal can be written; nothing is injected where it cannot.
pub const JOURNAL_WRITABLE: &str = "sabot_journal_writable";
/// Events that were journalled.
pub const AUDIT_EVENTS: &str = "sabot_audit_events_total";

const LIVE: [State; 3] = [State::Pending, State::Approved, State::Running];
const OVER: [State; 4] = [State::Aborted, State::Completed, State::Reverted, State::Failed];

pub(super) fn describe() {
    describe_counter!(FAULT_EVENTS, "Faults of injections that came on or went off.");
    describe_gauge!(FAULTS_ACTIVE, "Faults of injections that are on.");
    describe_gauge!(INJECTIONS, "Injections that are not over.");
    describe_counter!(INJECTIONS_ENDED, "Injections that are over.");
    describe_gauge!(JOURNAL_WRITABLE, "Whether the journal can be written.");
    describe_counter!(AUDIT_EVENTS, "Events that were journalled.");
}

/// Hands on what the engine has counted. Its labels are bounded as the engine's count is; every series is touched, so
/// that none is forgotten while it may grow.
pub(super) fn publish(engine: &Engine) {
    let tally = engine.tally();
    // What was once on is 0 when it is off.
    let mut active: BTreeMap<(&str, String), u32> = BTreeMap::new();
    for (it, count) in tally.faults {
        let labels = [
            ("event", it.event.to_owned()),
            ("type", it.kind.to_owned()),
            ("target", it.target.clone()),
            ("outcome", it.outcome.to_owned()),
        ];
        counter!(FAULT_EVENTS, &labels).absolute(count);
        active.entry((it.kind, it.target)).or_default();
    }
    let mut live: BTreeMap<&str, u32> = LIVE.map(|state| (state.as_str(), 0)).into();
    for (state, kind, targets) in engine.live() {
        *live.entry(state.as_str()).or_default() += 1;
        if state != State::Running {
            continue;
        }
        for target in targets {
            let key = (kind, target);
            // One that is new to a count that is full is among the others there.
            let key = if active.contains_key(&key) { key } else { (kind, "other".to_owned()) };
            *active.entry(key).or_default() += 1;
        }
    }
    for ((kind, target), count) in active {
        gauge!(FAULTS_ACTIVE, "type" => kind.to_owned(), "target" => target).set(count);
    }
    for (state, count) in live {
        gauge!(INJECTIONS, "state" => state.to_owned()).set(count);
    }
    for state in OVER.map(State::as_str) {
        let count = tally.ended.get(state).copied().unwrap_or(0);
        counter!(INJECTIONS_ENDED, "state" => state).absolute(count);
    }
    gauge!(JOURNAL_WRITABLE).set(if engine.trouble().is_none() { 1.0 } else { 0.0 });
    counter!(AUDIT_EVENTS).absolute(engine.journalled());
}
