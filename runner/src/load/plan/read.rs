//! Reading a plan: errors name the field and the nearest name for one that does not exist.

use std::fmt;

use sabot_toxics::{Invalid, read};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use super::{Endpoint, Http2, Plan, Scalar};

impl Plan {
    /// Reads a plan from an object. `null` means absent.
    ///
    /// # Errors
    /// The field that is missing, unknown, of another type or out of range. What fields mean together
    /// is checked by [`crate::load::Load::new`].
    pub fn read(value: Value) -> Result<Self, Invalid> {
        let Value::Object(mut map) = value else {
            return Err(Invalid::new("", "must be an object with `target` and `rate`"));
        };
        map.retain(|_, value| !value.is_null());
        // Endpoints say more of what is wrong with them than can pass through serde.
        let endpoints = match map.remove("endpoints") {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                let endpoint = |(at, value)| {
                    Endpoint::read(value).map_err(|error| error.within(&format!("endpoints[{at}]")))
                };
                list.into_iter().enumerate().map(endpoint).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(Invalid::new("endpoints", "must be a list")),
        };
        let mut plan: Self = read(Value::Object(map))?;
        plan.endpoints = endpoints;
        Ok(plan)
    }
}

impl<'de> Deserialize<'de> for Http2 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Http2;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or auto")
            }

            fn visit_bool<E: de::Error>(self, always: bool) -> Result<Http2, E> {
                Ok(if always { Http2::Always } else { Http2::Never })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Http2, E> {
                match text {
                    "auto" => Ok(Http2::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Serialize for Http2 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Always => serializer.serialize_bool(true),
            Self::Never => serializer.serialize_bool(false),
        }
    }
}

impl JsonSchema for Http2 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Http2".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": [true, false, "auto"], "default": "auto"})
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            value @ (Value::Number(_) | Value::Bool(_)) => Ok(Self(value.to_string())),
            _ => Err(de::Error::custom("must be text, a number, true or false")),
        }
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalar".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean"]})
    }
}
