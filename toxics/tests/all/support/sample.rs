//! Random settings for any kind, made from its schema alone.

use sabot_toxics::seed::Draws;
use sabot_toxics::{Kind, Phase, ToxicSpec, kinds};
use serde_json::{Map, Value, json};

use super::toxic;

pub(crate) fn stream_kinds() -> impl Iterator<Item = &'static Kind> {
    kinds().iter().filter(|kind| kind.phase == Phase::Stream)
}

pub(crate) fn pick<'a, T>(draws: &mut Draws, from: &'a [T]) -> &'a T {
    &from[draws.below(from.len() as u64) as usize]
}

/// Valid attributes: most of them set, each within its bounds.
pub(crate) fn attributes(kind: &Kind, draws: &mut Draws) -> Map<String, Value> {
    let properties = kind.schema()["properties"].as_object().cloned().unwrap_or_default();
    for _ in 0..50 {
        let mut map = Map::new();
        for (name, property) in &properties {
            if draws.chance(0.8) {
                map.insert(name.clone(), value(kind.schema(), property, draws));
            }
        }
        match kind.parse(&map) {
            Ok(_) => return map,
            // Two attributes may exclude each other; the refusal names one.
            Err(refusal) => assert!(properties.contains_key(&refusal.field), "{}: {refusal}", kind.name),
        }
    }
    Map::new()
}

/// A toxic of any kind that acts on streams.
pub(crate) fn any_toxic(draws: &mut Draws) -> ToxicSpec {
    let all: Vec<_> = stream_kinds().collect();
    let kind = *pick(draws, &all);
    toxic(kind.name, Value::Object(attributes(kind, draws)))
}

/// When it acts: mostly always, at times in windows.
pub(crate) fn any_when(draws: &mut Draws) -> Value {
    let mut when = Map::new();
    if draws.chance(0.3) {
        when.insert("start_after".into(), json!(pick(draws, &[0.5, 3.0, 40.0])));
    }
    if draws.chance(0.2) {
        when.insert("duration".into(), json!(pick(draws, &[0.0, 5.0, 200.0])));
    }
    if draws.chance(0.2) {
        when.insert("period".into(), json!(pick(draws, &[1.0, 7.0, 100.0])));
        when.insert("duty".into(), json!(pick(draws, &[0.0, 0.3, 1.0])));
    }
    if draws.chance(0.2) {
        when.insert("after_bytes".into(), json!(pick(draws, &[1, 1000, 30_000])));
    }
    Value::Object(when)
}

fn value(schema: &Value, property: &Value, draws: &mut Draws) -> Value {
    if let Some(reference) = property["$ref"].as_str() {
        let target = schema.pointer(reference.trim_start_matches('#')).unwrap();
        return value(schema, target, draws);
    }
    if let Some(choices) = property["oneOf"].as_array() {
        return pick(draws, choices)["const"].clone();
    }
    if let Some(choices) = property["enum"].as_array() {
        // Where a number stands for a name, the name is what comes back.
        let names: Vec<_> = choices.iter().filter(|choice| choice.is_string()).cloned().collect();
        return pick(draws, if names.is_empty() { choices } else { &names }).clone();
    }
    if let Some(alternatives) = property["anyOf"].as_array() {
        return value(schema, &alternatives[0], draws);
    }
    let types = &property["type"];
    let plain = types.as_str().or_else(|| types[0].as_str());
    match (property["x-unit"].as_str(), plain) {
        (Some("ms"), _) => json!(pick(draws, &[0.0, 0.25, 1.0, 7.0, 50.0, 1000.0])),
        (Some("us"), _) => json!(pick(draws, &[0.0, 0.5, 20.0, 100.0, 5000.0])),
        (Some("KB/s"), _) => json!(pick(draws, &[0.0, 1.0, 10.0, 250.0, 20_000.0])),
        (Some("B"), _) => bounded(property, *pick(draws, &[0, 1, 7, 64, 1500, 5000, 100_000])),
        (_, Some("boolean")) => json!(draws.chance(0.5)),
        (_, Some("integer")) => bounded(property, draws.below(10) as i64),
        (_, Some("number")) => json!(pick(draws, &[0.0, 0.001, 0.1, 0.5, 0.9, 1.0])),
        (_, Some("string")) => json!(pick(draws, &["", "text"])),
        (_, Some("object")) => json!({}),
        (_, Some("array")) => json!([]),
        other => panic!("no sample for {other:?} in {property}"),
    }
}

fn bounded(property: &Value, value: i64) -> Value {
    let least = property["minimum"].as_i64().unwrap_or(0);
    let most = property["maximum"].as_i64().unwrap_or(i64::MAX);
    json!(value.clamp(least, most))
}
