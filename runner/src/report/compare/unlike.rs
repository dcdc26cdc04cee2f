//! What makes two runs two different things, rather than a before and an after.

use super::text;
use crate::record::{FaultRecord, Record};

/// What has to be the same for a comparison of like with like.
pub(super) fn differences(a: &Record, b: &Record) -> Vec<String> {
    let mut told = Vec::new();
    let mut unlike = |what: &str, a: String, b: String| {
        if a != b {
            told.push(format!("The runs differ in {what}: {a} and {b}."));
        }
    };
    unlike("their experiment", a.title.clone(), b.title.clone());
    unlike("their seed", a.load.seed.to_string(), b.load.seed.to_string());
    unlike(
        "the rate that was offered",
        text::rate(a.load.total.offered_per_s),
        text::rate(b.load.total.offered_per_s),
    );
    let faults = |record: &Record| {
        let one = |fault: &FaultRecord| {
            let attributes = serde_json::Value::Object(fault.attributes.clone());
            format!("{} on {} {attributes}", fault.kind, fault.proxy)
        };
        let all: Vec<_> = record.faults.iter().map(one).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    };
    unlike("their faults", faults(a), faults(b));
    let lengths = |record: &Record| {
        text::PHASES.map(|phase| format!("{} s", record.phases.of(phase).count())).join(" + ")
    };
    unlike("the lengths of baseline, fault and recovery", lengths(a), lengths(b));
    unlike("the version of Sabot", a.versions.runner.clone(), b.versions.runner.clone());
    told
}
