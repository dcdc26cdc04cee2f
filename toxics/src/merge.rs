//! Changes laid over the attributes of a toxic.

use serde_json::{Map, Value};

/// Lays `changes` over an object that `schema` describes, as a merge patch does (RFC 7386,
/// section 2): `null` removes, so that the default counts again, and objects are merged.
/// What has no fields by its schema is one value and replaced: a pattern, which is one of
/// several forms, or any JSON, in which `null` may be meant.
pub(crate) fn merge(object: &mut Map<String, Value>, changes: &Map<String, Value>, schema: &Value) {
    for (name, change) in changes {
        let name = if schema["x-names"] == "header" { name.to_ascii_lowercase() } else { name.clone() };
        match (change, field(schema, &name)) {
            (Value::Null, _) => drop(object.shift_remove(&name)),
            (Value::Object(changes), Some(schema)) if has_fields(schema) => {
                let inner = object.entry(name).or_insert_with(|| Map::new().into());
                if !inner.is_object() {
                    *inner = Map::new().into();
                }
                if let Value::Object(inner) = inner {
                    merge(inner, changes, schema);
                }
            }
            (value, _) => drop(object.insert(name, value.clone())),
        }
    }
}

fn field<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    schema["properties"].get(name).or_else(|| schema.get("additionalProperties"))
}

/// Whether the schema is that of an object whose fields it knows, by name or by kind.
fn has_fields(schema: &Value) -> bool {
    schema["properties"].is_object() || schema["additionalProperties"].is_object()
}
