//! A span for each fault, from its start to its end, in the JSON of OTLP over HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>). Sent when it is over, since a span
//! that has no end cannot be sent.

use serde_json::{Value, json};

use super::Moment;
use crate::event::Event;
use crate::injection::{Injection, State};

pub(super) fn message(moment: Moment, _: &Event, injection: &Injection) -> Option<Value> {
    if matches!(moment, Moment::Pending | Moment::Started) {
        return None;
    }
    let (began, ended) = (injection.started_at_ms?, injection.ended_at_ms?);
    let request = &injection.request;
    let kind = request.fault.kind().name;
    let hash = blake3::hash(injection.id.as_bytes()).to_hex();
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let params = request.fault.params().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        attribute(&format!("sabot.fault.{name}"), &value)
    });
    let attributes = [
        attribute("sabot.injection", &injection.id),
        attribute("sabot.fault.type", kind),
        attribute("sabot.targets", &injection.targets.join(",")),
        attribute("sabot.service", &request.target.service),
        attribute("sabot.owner", &request.owner),
        attribute("sabot.hypothesis", &request.hypothesis),
        attribute("sabot.state", injection.state.as_str()),
        attribute("sabot.reason", injection.reason.as_deref().unwrap_or_default()),
    ];
    let event = |name: &str, at_ms: u64| json!({"name": name, "timeUnixNano": nanos(at_ms)});
    // 1 is fine and 2 an error: what was expected to hold did not.
    let code = if matches!(injection.state, State::Aborted | State::Failed) { 2 } else { 1 };
    let span = json!({
        "traceId": &hash[..32],
        "spanId": &hash[32..48],
        "name": format!("fault {kind}"),
        "kind": 1,
        "startTimeUnixNano": nanos(began),
        "endTimeUnixNano": nanos(ended.max(began)),
        "attributes": attributes.into_iter().chain(params).collect::<Vec<_>>(),
        "events": [event("fault_event start", began), event("fault_event stop", ended)],
        "status": {"code": code},
    });
    let version = env!("CARGO_PKG_VERSION");
    Some(json!({"resourceSpans": [{
        "resource": {"attributes": [attribute("service.name", "sabot"), attribute("service.version", version)]},
        "scopeSpans": [{"scope": {"name": "sabot.injections", "version": version}, "spans": [span]}],
    }]}))
}

/// 64-bit numbers are text in this JSON.
fn nanos(ms: u64) -> String {
    ms.saturating_mul(1_000_000).to_string()
}
