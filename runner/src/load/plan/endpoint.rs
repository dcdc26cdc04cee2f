//! One endpoint of a load: how often it is called, and with what request.

use std::borrow::Cow;

use sabot_toxics::units::Millis;
use sabot_toxics::{Invalid, take};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Deserialize as Derived, Serialize};
use serde_json::{Value, json};

use crate::load::kinds::{self, RequestSpec};

/// What an endpoint does to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Derived, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Asks.
    Read,
    /// Changes.
    Write,
}

/// One kind of request of a load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Endpoint {
    /// Its name in results; unless given, what it asks for, such as `GET /orders/{{int 1 1000}}`.
    pub name: String,
    /// How often it is called, relative to the others. Unless any has one, reads share 80 % and
    /// writes 20 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Unless given, as the request says: GET and SELECT read, POST and SET write.
    pub class: Class,
    /// Another base URL than the plan's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Another time limit than the plan's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Millis>,
    /// What is asked.
    #[serde(flatten)]
    pub request: RequestSpec,
}

impl Endpoint {
    /// The fields that every kind of request has.
    const FIELDS: [&'static str; 6] = ["name", "weight", "class", "target", "timeout", "kind"];

    /// Reads an endpoint from an object.
    ///
    /// # Errors
    /// The field that is missing, unknown, of another type or out of range.
    pub fn read(value: Value) -> Result<Self, Invalid> {
        let Value::Object(mut map) = value else {
            return Err(Invalid::new("", "must be an object, such as {path: /orders/1}"));
        };
        let kind = take::<String>(&mut map, "kind")?.unwrap_or_else(|| "http".to_owned());
        let name = take::<String>(&mut map, "name")?;
        let weight = take::<f64>(&mut map, "weight")?;
        let class = take(&mut map, "class")?;
        let target = take(&mut map, "target")?;
        let timeout = take(&mut map, "timeout")?;
        let request = kinds::read(&kind, map, &Self::FIELDS)?;
        if weight.is_some_and(|weight| !(weight.is_finite() && weight >= 0.0)) {
            return Err(Invalid::new("weight", "must be a number, 0 or more"));
        }
        let name = name.unwrap_or_else(|| request.label());
        if name.is_empty() {
            return Err(Invalid::new("name", "must not be empty"));
        }
        Invalid::unless_printable("name", &name)?;
        let class = class.unwrap_or_else(|| request.class());
        Ok(Self { name, weight, class, target, timeout, request })
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::read(value).map_err(de::Error::custom)
    }
}

impl JsonSchema for Endpoint {
    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    /// One alternative for each kind, closed: editors then say what a kind has.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let class = generator.subschema_for::<Class>();
        let timeout = generator.subschema_for::<Millis>();
        let alternatives: Vec<Value> = kinds::schemas(generator)
            .into_iter()
            .map(|(kind, schema)| {
                let mut schema = Value::from(schema);
                let common = json!({
                    "name": {"type": "string", "description": "its name in results"},
                    "kind": {"const": kind},
                    "weight": {"type": "number", "minimum": 0, "description": "how often, relative to the others"},
                    "class": class,
                    "target": {"type": "string", "description": "another base URL than the plan's"},
                    "timeout": timeout,
                });
                if let (Value::Object(common), Some(properties)) =
                    (common, schema.get_mut("properties").and_then(Value::as_object_mut))
                {
                    properties.extend(common);
                }
                if kind != "http"
                    && let Some(map) = schema.as_object_mut()
                {
                    let required = map.entry("required").or_insert_with(|| json!([]));
                    if let Some(required) = required.as_array_mut() {
                        required.push(json!("kind"));
                    }
                }
                schema
            })
            .collect();
        Schema::try_from(json!({"anyOf": alternatives})).unwrap_or_default()
    }
}
