//! Values that several HTTP faults take.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Response;
use super::matching::Header;
use crate::Invalid;
use crate::seed::Draws;
use crate::units::ByteSize;

/// One value, or a list of which one is drawn for each request.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOf<T>(pub Vec<T>);

impl<T> OneOf<T> {
    /// Refuses a list with nothing in it.
    ///
    /// # Errors
    /// There is nothing to draw from.
    pub(crate) fn unless_empty(&self, field: &str) -> Result<(), Invalid> {
        if self.0.is_empty() {
            return Err(Invalid::new(field, "is an empty list: give one, or several, or leave it out"));
        }
        Ok(())
    }

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

/// One half of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Side {
    /// What goes up.
    Request,
    /// What comes down.
    #[default]
    Response,
}

/// Where a request stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Stop {
    /// Before the request goes up.
    #[default]
    Request,
    /// After the head of the answer.
    Head,
    /// After `after` bytes of the answer's body.
    Body,
}

impl Stop {
    /// Refuses a count of bytes where none is counted.
    ///
    /// # Errors
    /// It does not stop in the body.
    pub(crate) fn check_after(self, after: ByteSize) -> Result<(), Invalid> {
        if after.0 > 0 && self != Self::Body {
            return Err(Invalid::new(
                "after",
                "counts bytes of the body: give `at` as body, or leave it out",
            ));
        }
        Ok(())
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

impl Status {
    /// Whether an answer of that status has no body, whatever its headers say (RFC 9110,
    /// sections 15.2, 15.3.5, 15.3.6 and 15.4.5).
    #[must_use]
    pub fn is_bodiless(status: StatusCode) -> bool {
        status.is_informational() || matches!(status.as_u16(), 204 | 205 | 304)
    }
}

/// Whether nothing comes after the head of the answer, in either version of HTTP.
pub(crate) fn is_complete(response: &Response) -> bool {
    Status::is_bodiless(response.status()) || http_body::Body::is_end_stream(response.body())
}

/// Headers by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("x-names" = "header"))]
pub struct Headers(#[schemars(with = "BTreeMap<String, String>")] pub BTreeMap<Header, Text>);

impl Headers {
    /// Sets each of them, whatever was there.
    pub fn set(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.insert(name.0.clone(), value.0.clone());
        }
    }
}

/// Reads a list, or its values with commas between them as on the command line.
pub(crate) fn listed<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let values = match Value::deserialize(deserializer)? {
        Value::Array(values) => values,
        Value::String(text) => text.split(',').map(|part| part.trim().into()).collect(),
        other => return Err(de::Error::custom(format!("{other} is no list of names"))),
    };
    values.into_iter().map(|value| serde_json::from_value(value).map_err(de::Error::custom)).collect()
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
