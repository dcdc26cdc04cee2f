//! An annotation (<https://grafana.com/docs/grafana/latest/developers/http_api/annotations/>): a point where
//! a fault began, and the region in which it was on once it is over.

use serde_json::{Value, json};

use super::{Moment, what};
use crate::event::Event;
use crate::injection::Injection;

pub(super) fn message(moment: Moment, _: &Event, injection: &Injection) -> Option<Value> {
    let began = injection.started_at_ms?;
    let kind = injection.request.fault.kind().name;
    let mut tags = vec!["sabot".to_owned(), "fault_event".to_owned(), kind.to_owned(), injection.id.clone()];
    tags.extend(injection.targets.iter().cloned());
    let text = format!("{}: {}", what(injection), injection.request.hypothesis);
    match (moment, injection.ended_at_ms) {
        (Moment::Pending, _) => None,
        (Moment::Started, _) => Some(json!({"time": began, "tags": tags, "text": text})),
        (Moment::Aborted | Moment::Ended, ended) => {
            let reason = injection.reason.as_deref().unwrap_or_default();
            let text = format!("{text} ({}: {reason})", injection.state.as_str());
            Some(json!({"time": began, "timeEnd": ended?, "tags": tags, "text": text}))
        }
    }
}
