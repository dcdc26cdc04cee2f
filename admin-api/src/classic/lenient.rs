//! JSON as the clients of Toxiproxy write it.
//!
//! They were written against Go's decoder: keys in any case, `null` for what
//! is absent, fields that nobody knows, anything at all after the first value.

use serde_json::{Deserializer, Map, Value};

use crate::error::ApiError;

/// The first JSON value in a body.
pub(super) fn read(body: &[u8]) -> Result<Value, ApiError> {
    // Go reads bytes that are not UTF-8 as replacement characters.
    let text = String::from_utf8_lossy(body);
    match Deserializer::from_str(&text).into_iter().next() {
        None => Err(bad("EOF")),
        Some(Err(error)) => Err(bad(error)),
        Some(Ok(value)) => Ok(value),
    }
}

/// A refusal of the body.
pub(super) fn bad(reason: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!("bad request body: {reason}"))
}

fn bad_type(field: &str, expected: &str, found: &Value) -> ApiError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let place = if field.is_empty() { String::new() } else { format!("{field}: ") };
    let error = bad(format_args!("{place}expected {expected}, found {found}"));
    ApiError { field: Some(field.to_owned()).filter(|field| !field.is_empty()), ..error }
}

/// The fields of an object, found in any case.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Those of an object; `null` has none.
    pub(super) fn of(value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            Value::Null => Ok(Self(Map::new())),
            other => Err(bad_type("", "an object", &other)),
        }
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(bad_type(name, "a string", &other)),
        }
    }

    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(bad_type(name, "a boolean", &other)),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(other) => Err(bad_type(name, "a number", &other)),
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(bad_type(name, "an object", &other)),
        }
    }

    /// The value under that name; of several spellings the last one counts,
    /// unless it is `null`.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let spelled = |key: &&String| key.eq_ignore_ascii_case(name);
        let keys: Vec<_> = self.0.keys().filter(spelled).cloned().collect();
        let values = keys.iter().filter_map(|key| self.0.shift_remove(key));
        values.filter(|value| !value.is_null()).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        Fields::of(read(json.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn keys_in_any_case_and_null_for_absent() {
        for (json, name) in [
            (r#"{"name":"a"}"#, Some("a")),
            (r#"{"Name":"a","other":1}"#, Some("a")),
            (r#"{"NAME":"b","name":"a"}"#, Some("a")),
            (r#"{"name":"a","NAME":null}"#, Some("a")),
            (r#"{"name":null}"#, None),
            ("null", None),
            ("{} trailing", None),
        ] {
            assert_eq!(fields(json).string("name").unwrap().as_deref(), name, "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |json: &str| fields(json).string("name").unwrap_err().message;
        assert_eq!(wrong(r#"{"Name":5}"#), "bad request body: name: expected a string, found a number");
        assert_eq!(read(b"").unwrap_err().message, "bad request body: EOF");
        assert!(read(b"{").unwrap_err().message.starts_with("bad request body: EOF while parsing"));
        assert!(Fields::of(read(b"[]").unwrap()).is_err());
        assert!(read(b"{\"name\":\"\xff\"}").is_ok());
    }
}
