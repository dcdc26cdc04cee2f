//! A text, for Slack and what takes its webhooks
//! (<https://api.slack.com/messaging/webhooks>).

use serde_json::{Value, json};

use super::{Moment, what};
use crate::event::Event;
use crate::injection::Injection;
use crate::rules::moment as time;

#[expect(clippy::unnecessary_wraps, reason = "every format may have nothing to say")]
pub(super) fn message(moment: Moment, _: &Event, injection: &Injection) -> Option<Value> {
    let request = &injection.request;
    let what = format!("{} ({}, {})", what(injection), injection.id, request.owner);
    let text = match moment {
        Moment::Pending => {
            let why = injection.needs_approval.as_deref().unwrap_or_default();
            format!("Sabot: {what} waits for a second person: {why}. `sabot approve {}`", injection.id)
        }
        Moment::Started => {
            let until = injection.ends_at_ms.map(time).unwrap_or_default();
            format!(
                "Sabot: {what} is on, until {until} at the latest. Expected: {}. `sabot revert {}` ends it",
                request.hypothesis, injection.id
            )
        }
        Moment::Aborted => format!("Sabot: {what} was ABORTED: {}", reason(injection)),
        Moment::Ended => format!("Sabot: {what} is {}: {}", injection.state.as_str(), reason(injection)),
    };
    Some(json!({"text": escaped(&text)}))
}

fn reason(injection: &Injection) -> &str {
    injection.reason.as_deref().unwrap_or_default()
}

/// The three characters that mean something there.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
