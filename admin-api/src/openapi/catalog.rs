//! Schemas of toxics, from the catalog: one for the attributes of each kind,
//! one for a toxic of each kind, and the choice among them.

use sabot_toxics::{Kind, When};
use serde_json::{Map, Value, json};

const COMPONENTS: &str = "#/components/schemas/";

pub(super) fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    let mut choice = Vec::new();
    let mut mapping = Map::new();
    for kind in sabot_toxics::kinds() {
        let (toxic, attributes) = (toxic_name(kind), attributes_name(kind));
        add(&mut schemas, &attributes, kind.schema().clone());
        schemas.insert(toxic.clone(), new_toxic(kind, &attributes));
        choice.push(json!({ "$ref": format!("{COMPONENTS}{toxic}") }));
        mapping.insert(kind.name.to_owned(), json!(format!("{COMPONENTS}{toxic}")));
    }
    add(&mut schemas, "Tls", sabot_proxy::TlsSpec::schema());
    add(&mut schemas, "When", schemars::schema_for!(When).to_value());
    schemas.insert(
        "NewToxic".to_owned(),
        json!({
            "description": "A toxic to be added.",
            "oneOf": choice,
            "discriminator": { "propertyName": "type", "mapping": mapping },
        }),
    );
    schemas
}

fn new_toxic(kind: &Kind, attributes: &str) -> Value {
    json!({
        "type": "object",
        "title": kind.name,
        "description": kind.summary(),
        "required": ["type"],
        "additionalProperties": false,
        "properties": {
            "name": {
                "type": ["string", "null"],
                "description": "Unique on its proxy over both directions; `<type>_<stream>` unless given.",
            },
            "type": { "const": kind.name },
            "stream": { "$ref": format!("{COMPONENTS}Stream"), "default": "downstream" },
            "toxicity": {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 1,
                "default": 1,
                "description": "Share of the connections that it acts on.",
            },
            "attributes": { "$ref": format!("{COMPONENTS}{attributes}") },
            "when": { "$ref": format!("{COMPONENTS}When") },
        },
    })
}

/// Adds a schema that stood alone; its own definitions become components.
fn add(schemas: &mut Map<String, Value>, name: &str, mut schema: Value) {
    if let Some(map) = schema.as_object_mut() {
        map.shift_remove("$schema");
        map.shift_remove("title");
        if let Some(Value::Object(definitions)) = map.shift_remove("$defs") {
            for (name, definition) in definitions {
                add(schemas, &name, definition);
            }
        }
    }
    relocate(&mut schema);
    schemas.insert(name.to_owned(), schema);
}

fn relocate(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get_mut("$ref") {
                *target = target.replace("#/$defs/", COMPONENTS);
            }
            map.values_mut().for_each(relocate);
        }
        Value::Array(items) => items.iter_mut().for_each(relocate),
        _ => {}
    }
}

fn attributes_name(kind: &Kind) -> String {
    format!("{}Attributes", pascal(kind.name))
}

fn toxic_name(kind: &Kind) -> String {
    format!("New{}Toxic", pascal(kind.name))
}

fn pascal(name: &str) -> String {
    let upper = |part: &str| part[..1].to_ascii_uppercase() + &part[1..];
    name.split('_').filter(|part| !part.is_empty()).map(upper).collect()
}
