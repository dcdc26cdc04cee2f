//! Bodies of the injections' routes: the engine reads them by hand, so that it can say why each part matters.

use serde_json::{Value, json};

pub(super) fn schemas() -> impl Iterator<Item = (String, Value)> {
    let kinds: Vec<_> = sabot_toxics::kinds().iter().map(|kind| kind.name).collect();
    let component = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let text = |description: &str| json!({ "type": "string", "minLength": 1, "maxLength": 2000, "description": description });
    let selector = json!({
        "type": ["string", "null"],
        "description": "Which of them, by their labels: `shard=south-1,env!=production,zone in (a, b),canary,!old`.",
        "examples": ["shard=south-1"],
    });
    let cap = json!({
        "type": "integer", "minimum": 1, "maximum": u32::MAX,
        "description": "So many at most, drawn by the server's seed. Also read as `max_pods`.",
    });
    let service = text("The label `service` of the proxies that are meant, or else their name.");
    let target = json!({
        "type": "object",
        "description": "What may break.",
        "required": ["service", "max_targets"],
        "additionalProperties": false,
        "properties": { "service": service, "selector": selector, "max_targets": cap },
    });
    let percentile = |which: &str| {
        let description =
            format!("{which} of the delay in milliseconds, in place of the attributes of a delay.");
        json!({ "type": ["number", "null"], "minimum": 0, "maximum": 3_600_000, "description": description })
    };
    let fault = json!({
        "type": "object",
        "description": "How it breaks: a toxic of any kind, its attributes beside its type.",
        "required": ["type"],
        "properties": {
            "type": { "enum": kinds },
            "p50_ms": percentile("The median"),
            "p99_ms": percentile("The 99th percentile"),
            "stream": { "enum": ["upstream", "downstream"], "default": "downstream" },
            "toxicity": { "type": "number", "minimum": 0, "maximum": 1, "default": 1 },
            "when": component("When"),
        },
        "examples": [{ "type": "latency", "p50_ms": 200, "p99_ms": 500 }],
    });
    let number = |description: &str| json!({ "type": ["number", "null"], "description": description });
    let seconds = |description: &str| json!({ "type": "number", "minimum": 0, "maximum": 2_592_000, "description": description });
    let no_data = json!({
        "type": ["number", "null"], "minimum": 2, "maximum": 2_592_000,
        "description": "For how many seconds there may be no data; `abort_after` unless given, and at least 10.",
    });
    let steady_state = json!({
        "type": ["object", "null"],
        "description": "What has to stay true while the fault is on; `min`, `max` or both.",
        "required": ["slo", "abort_after"],
        "additionalProperties": false,
        "properties": {
            "slo": text("An indicator of the server's configuration; any other is the share of good requests \
                through the targets, as Sabot sees them."),
            "min": number("It has to be at least this."),
            "max": number("It has to be at most this."),
            "abort_after": seconds("For how many seconds it may be broken before the fault is taken back."),
            "abort_without_data_after": no_data,
        },
    });
    let duration = json!({
        "type": "number", "minimum": 0.001, "maximum": 2_592_000,
        "description": "For how long; every fault ends by itself.",
    });
    let properties = json!({
        "target": component("InjectionTarget"),
        "fault": component("InjectionFault"),
        "duration_seconds": duration,
        "steady_state": component("SteadyState"),
        "hypothesis": text("What you expect to happen."),
        "owner": text("Whom to ask about it."),
        "queue": { "type": ["boolean", "null"], "default": false,
            "description": "Whether it waits when it cannot begin at once." },
        "lease_seconds": { "type": "number", "minimum": 0.001, "maximum": 2_592_000,
            "description": "It ends after so long without `/injections/{id}/renew`." },
    });
    let injection = |required: Value| {
        json!({
            "type": "object",
            "description": "A fault with all that makes it safe to try.",
            "required": required,
            "additionalProperties": false,
            "properties": properties,
        })
    };
    let all = json!(["target", "fault", "duration_seconds", "steady_state", "hypothesis", "owner"]);
    let new_injection = injection(all.clone());
    // What a schedule shows leaves out what is as it is anyway.
    let scheduled = injection(json!(["target", "fault", "duration_seconds", "hypothesis", "owner"]));
    let chaos = json!({
        "type": "object",
        "required": ["type", "target"],
        "additionalProperties": false,
        "properties": {
            "type": { "enum": kinds },
            "target": { "oneOf": [
                text("A service: all of its proxies."),
                component("InjectionTarget"),
            ] },
            "params": {
                "type": ["object", "null"],
                "description": "Those of the fault, and `duration_seconds`.",
            },
        },
        "examples": [{ "type": "latency", "target": "payments", "params": { "p50_ms": 200, "p99_ms": 500 } }],
    });
    let schedule = json!({
        "type": "object",
        "required": ["name", "when", "injection"],
        "additionalProperties": false,
        "properties": {
            "name": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,63}$" },
            "when": { "type": "string", "examples": ["@every 6h", "30 2 * * MON-FRI Europe/Berlin"] },
            "injection": component("NewInjection"),
        },
    });
    let approval = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "approver": { "type": ["string", "null"], "minLength": 1, "maxLength": 200,
                "description": "Who approves, on trust; with a token it is whose token that is." },
        },
    });
    let action = json!({
        "type": "object",
        "description": "What happened, and with what: what there is beside `action` depends on it.",
        "required": ["action"],
        "properties": {
            "action": { "type": "string", "description": "What happened, such as `injection.started` or `changed`." },
        },
    });
    [
        ("InjectionTarget", target),
        ("InjectionFault", fault),
        ("SteadyState", steady_state),
        ("NewInjection", new_injection),
        ("ScheduledInjection", scheduled),
        ("ChaosInject", chaos),
        ("NewSchedule", schedule),
        ("Approval", approval),
        ("AuditAction", action),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
}
