//! What happened and to which injection, under the names that the API has for it.

use serde_json::{Value, json};

use super::Moment;
use crate::event::Event;
use crate::injection::Injection;
use crate::rules::moment as time;

#[expect(clippy::unnecessary_wraps, reason = "every format may have nothing to say")]
pub(super) fn message(moment: Moment, event: &Event, injection: &Injection) -> Option<Value> {
    let it = injection;
    Some(json!({
        "moment": moment,
        "event": event,
        "injection": {
            "id": it.id,
            "state": it.state,
            "target": it.request.target,
            "fault": it.request.fault,
            "targets": it.targets,
            "hypothesis": it.request.hypothesis,
            "owner": it.request.owner,
            "requested_by": it.requested_by,
            "requested_at": time(it.requested_at_ms),
            "needs_approval": it.needs_approval,
            "approved_by": it.approved_by,
            "schedule": it.schedule,
            "started_at": it.started_at_ms.map(time),
            "ends_at": it.ends_at_ms.map(time),
            "ended_at": it.ended_at_ms.map(time),
            "ended_by": it.ended_by,
            "reason": it.reason,
            "breach": it.breach,
        },
    }))
}
