//! What the engine counts: faults that come on, go off and are on, injections, and the journal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use sabot_injections::engine::Engine;
use sabot_injections::injection::{Injection, State};

use super::escaped;

/// Faults of injections that came on or went off, by kind and proxy.
pub const FAULT_EVENTS: &str = "sabot_fault_events_total";
/// Faults of injections that are on, by kind and proxy.
pub const FAULTS_ACTIVE: &str = "sabot_faults_active";
/// What the faults that are on are: the value is always 1.
const FAULT_INFO: &str = "sabot_fault_info";
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
pub(super) fn publish(engine: &Engine, live: &[Injection]) {
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
    let mut states: BTreeMap<&str, u32> = LIVE.map(|state| (state.as_str(), 0)).into();
    for it in live {
        *states.entry(it.state.as_str()).or_default() += 1;
        if it.state != State::Running {
            continue;
        }
        let kind = it.request.fault.kind().name;
        for target in &it.targets {
            let key = (kind, target.clone());
            // One that is new to a count that is full is among the others there.
            let key = if active.contains_key(&key) { key } else { (kind, "other".to_owned()) };
            *active.entry(key).or_default() += 1;
        }
    }
    for ((kind, target), count) in active {
        gauge!(FAULTS_ACTIVE, "type" => kind.to_owned(), "target" => target).set(count);
    }
    for (state, count) in states {
        gauge!(INJECTIONS, "state" => state.to_owned()).set(count);
    }
    for state in OVER.map(State::as_str) {
        let count = tally.ended.get(state).copied().unwrap_or(0);
        counter!(INJECTIONS_ENDED, "state" => state).absolute(count);
    }
    gauge!(JOURNAL_WRITABLE).set(if engine.trouble().is_none() { 1.0 } else { 0.0 });
    counter!(AUDIT_EVENTS).absolute(engine.journalled());
}

/// Writes what is on, with its parameters. Not a series like the others: those of the exporter outlast what they
/// tell of, and parameters are never the same again.
pub(super) fn write_info(text: &mut String, live: &[Injection]) {
    let mut running = live.iter().filter(|it| it.state == State::Running).peekable();
    if running.peek().is_some() {
        let _ =
            write!(text, "# HELP {FAULT_INFO} What the faults that are on are.\n# TYPE {FAULT_INFO} gauge\n");
    }
    for it in running {
        let fault = &it.request.fault;
        let (kind, params) = (fault.kind().name, escaped(&fault.told()));
        for target in it.targets.iter().map(|it| escaped(it)) {
            let _ = writeln!(
                text,
                "{FAULT_INFO}{{injection=\"{}\",type=\"{kind}\",target=\"{target}\",params=\"{params}\"}} 1",
                it.id
            );
        }
    }
}
