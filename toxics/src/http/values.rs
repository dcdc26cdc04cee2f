//! Values that several HTTP faults take.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::matching::Header;
use crate::seed::Draws;

/// One value, or a list of which one is drawn for each request.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOf<T>(pub Vec<T>);

impl<T> OneOf<T> {
    /// The one that is drawn; `None` if the list is empty.
    pub fn draw(&self, mut draws: Draws) -> Option<&T> {
        self.0.get(usize::try_from(draws.below(self.0.len() as u64)).unwrap_or(0))
    }
}

impl<T> Default for OneOf<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for OneOf<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(serializer),
            all => all.serialize(serializer),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let one = |value| serde_json::from_value::<T>(value).map_err(de::Error::custom);
        let values = match Value::deserialize(deserializer)? {
            Value::Array(values) => values,
            // As on the command line: `503,504`.
            Value::String(text) if text.contains(',') => {
                text.split(',').map(|part| part.trim().into()).collect()
            }
            value => vec![value],
        };
        values.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for OneOf<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOf{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
    }
}

/// The status of an answer, 200 to 599: those below are no answers yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub StatusCode);

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_u16().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let status =
            number.and_then(|number| u16::try_from(number).ok()).filter(|status| (200..600).contains(status));
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        status.map(Self).ok_or_else(|| de::Error::custom(format!("{value} is no status: give 200 to 599")))
    }
}

impl JsonSchema for Status {
    fn schema_name() -> Cow<'static, str> {
        "Status".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 200, "maximum": 599})
    }
}

/// Headers by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Headers(#[schemars(with = "BTreeMap<String, String>")] pub BTreeMap<Header, Text>);

impl Headers {
    /// Sets each of them, whatever was there.
    pub fn set(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.insert(name.0.clone(), value.0.clone());
        }
    }
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq)]
pub struct Text(pub HeaderValue);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        String::from_utf8_lossy(self.0.as_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
            other => return Err(de::Error::custom(format!("{other} is no value of a header"))),
        };
        HeaderValue::from_bytes(text.as_bytes())
            .map(Self)
            .map_err(|_| de::Error::custom(format!("{text:?} is no value of a header: control characters")))
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(HeaderValue::from_static(""))
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// A status of gRPC, by number or name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcStatus(pub u8);

/// As gRPC numbers them, from 0 (doc/statuscodes.md of gRPC).
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl GrpcStatus {
    /// What a client of gRPC makes of an HTTP status (doc/http-grpc-status-mapping.md of gRPC).
    #[must_use]
    pub fn of_http(status: StatusCode) -> Self {
        Self(match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        })
    }
}

impl Serialize for GrpcStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        GRPC[usize::from(self.0) % GRPC.len()].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for GrpcStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let index = match number {
            Some(number) => usize::try_from(number).ok().filter(|index| *index < GRPC.len()),
            None => {
                let name = value.as_str().unwrap_or_default().to_ascii_uppercase().replace('-', "_");
                GRPC.iter().position(|known| *known == name)
            }
        };
        let index = index.and_then(|index| u8::try_from(index).ok());
        index.map(Self).ok_or_else(|| {
            let given = value.as_str().unwrap_or_default();
            let near = crate::suggestion(&given.to_ascii_uppercase(), &GRPC);
            de::Error::custom(format!("{value} is no status of gRPC: give 0 to 16 or its name{near}"))
        })
    }
}

impl JsonSchema for GrpcStatus {
    fn schema_name() -> Cow<'static, str> {
        "GrpcStatus".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = GRPC.map(Value::from).into_iter();
        let all: Vec<_> = names.chain((0..GRPC.len()).map(Value::from)).collect();
        json_schema!({"enum": all})
    }
}
