//! Reading fields by hand: these files come from elsewhere, hold fields that nobody here knows, and
//! have `${name}` where a number belongs.

use sabot_toxics::Invalid;
use serde_json::{Map, Value};

pub(super) type Object = Map<String, Value>;

/// `value` as an object.
pub(super) fn object<'v>(field: &str, value: &'v Value) -> Result<&'v Object, Invalid> {
    value.as_object().ok_or_else(|| wrong(field, "an object", value))
}

/// The object under `field`, if there is one.
pub(super) fn optional_object<'v>(of: &'v Object, field: &str) -> Result<Option<&'v Object>, Invalid> {
    given(of, field).map(|value| object(field, value)).transpose()
}

/// The list under `field`; nothing is an empty one.
pub(super) fn list<'v>(of: &'v Object, field: &str) -> Result<&'v [Value], Invalid> {
    match given(of, field) {
        None => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(other) => Err(wrong(field, "a list", other)),
    }
}

/// The text under `field`, which must be there and not be empty.
pub(super) fn text<'v>(of: &'v Object, field: &str) -> Result<&'v str, Invalid> {
    let text = optional_text(of, field)?.ok_or_else(|| Invalid::new(field, "is missing"))?;
    if text.trim().is_empty() {
        return Err(Invalid::new(field, "must not be empty"));
    }
    Ok(text)
}

/// The text under `field`, if there is one.
pub(super) fn optional_text<'v>(of: &'v Object, field: &str) -> Result<Option<&'v str>, Invalid> {
    match given(of, field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(field, "text", other)),
    }
}

/// The switch under `field`.
pub(super) fn switch(of: &Object, field: &str, unless_given: bool) -> Result<bool, Invalid> {
    match given(of, field) {
        None => Ok(unless_given),
        Some(Value::Bool(switch)) => Ok(*switch),
        Some(other) => Err(wrong(field, "true or false", other)),
    }
}

/// A number of seconds under `field`, or `${name}` for one.
pub(super) fn seconds(of: &Object, field: &str) -> Result<Option<Value>, Invalid> {
    match given(of, field) {
        None => Ok(None),
        Some(Value::Number(number)) if number.as_f64().is_some_and(|seconds| seconds >= 0.0) => {
            Ok(Some(Value::Number(number.clone())))
        }
        Some(Value::String(text)) if text.starts_with("${") && text.ends_with('}') => {
            Ok(Some(Value::String(text.clone())))
        }
        Some(other) => Err(wrong(field, "a number of seconds from 0 on, or `${name}` for one", other)),
    }
}

/// The value under `field`; `null` is none.
pub(super) fn given<'v>(of: &'v Object, field: &str) -> Option<&'v Value> {
    of.get(field).filter(|value| !value.is_null())
}

/// What should stand there, and what does.
pub(super) fn wrong(field: &str, wanted: &str, found: &Value) -> Invalid {
    let found: String = found.to_string().chars().take(60).collect();
    Invalid::new(field, format!("must be {wanted}, not `{found}`"))
}
