//! One value or several, as people write them.

use std::str::FromStr;

use http::Method;
use serde::Serializer;
use serde::de::{self, Deserialize, Deserializer};
use serde_json::Value;

use super::status::StatusRange;

/// One value or a list of them, as texts; a number is a text too.
fn several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = |value| match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(de::Error::custom("expected a value or a list of values")),
    };
    match Value::deserialize(deserializer)? {
        Value::Array(values) => values.into_iter().map(text).collect(),
        // As on the command line: `POST,PUT`.
        value => Ok(text(value)?.split(',').map(|part| part.trim().to_owned()).collect()),
    }
}

/// Refuses a list with nothing in it, which would mean all.
fn filled<E: de::Error>(texts: Vec<String>) -> Result<Vec<String>, E> {
    if texts.is_empty() {
        return Err(E::custom("is an empty list: give one, or several, or leave it out for all"));
    }
    Ok(texts)
}

pub(super) mod methods {
    use super::*;

    pub(in crate::http::matching) fn serialize<S: Serializer>(
        methods: &[Method],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(methods.iter().map(Method::as_str))
    }

    pub(in crate::http::matching) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Method>, D::Error> {
        let parse = |text: String| {
            Method::from_str(&text.to_ascii_uppercase())
                .map_err(|_| de::Error::custom(format!("`{text}` is no method")))
        };
        filled(several(from)?)?.into_iter().map(parse).collect()
    }
}

pub(super) mod statuses {
    use super::*;

    pub(in crate::http::matching) fn serialize<S: Serializer>(
        ranges: &[StatusRange],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let value = |range: &StatusRange| match range {
            StatusRange { first, last } if first == last => Value::from(*first),
            range => Value::from(range.to_string()),
        };
        serializer.collect_seq(ranges.iter().map(value))
    }

    pub(in crate::http::matching) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<StatusRange>, D::Error> {
        filled(several(from)?)?.into_iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
    }
}
