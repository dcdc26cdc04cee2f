//! The event and the injection, as the API gives them.

use serde_json::{Value, json};

use super::Moment;
use crate::event::Event;
use crate::injection::Injection;

#[expect(clippy::unnecessary_wraps, reason = "every format may have nothing to say")]
pub(super) fn message(moment: Moment, event: &Event, injection: &Injection) -> Option<Value> {
    Some(json!({"moment": moment, "event": event, "injection": injection}))
}
