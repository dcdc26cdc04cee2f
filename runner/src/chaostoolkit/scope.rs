//! What `${name}` stands for.
//!
//! The rules are those of Python's `string.Template`, which the format is written for: `$name` and
//! `${name}` are filled in, `$$` is a dollar sign, and a name without a value stays as it is. A text
//! that is `${name}` and nothing else becomes the value itself, with its type.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Values by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// The file's `configuration`, its variables of the environment looked up.
    pub(crate) configuration: Map<String, Value>,
    /// The file's `secrets`, by target.
    pub(crate) secrets: Map<String, Value>,
    /// What programs find in their environment beside that of this one.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Scope {
    /// The value of a name: the configuration's, else that of the first target of the secrets.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        let secret =
            || self.secrets.values().filter_map(Value::as_object).find_map(|target| target.get(name));
        self.configuration.get(name).or_else(secret)
    }

    /// All texts within `value` filled in.
    pub(crate) fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.fill_text(text),
            Value::Array(list) => list.iter().map(|value| self.fill(value)).collect(),
            Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), self.fill(value))).collect(),
            other => other.clone(),
        }
    }

    /// As [`fill`](Self::fill), but untouched when there are no values at all, as arguments are.
    pub(crate) fn fill_arguments(&self, value: &Value) -> Value {
        if self.configuration.is_empty() && self.secrets.is_empty() {
            value.clone()
        } else {
            self.fill(value)
        }
    }

    /// `text` filled in, as text.
    pub(crate) fn text(&self, text: &str) -> String {
        to_text(&self.fill_text(text))
    }

    /// A number of seconds that stands in the file or behind a name.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn seconds(&self, value: &Value) -> Result<f64, String> {
        let filled = self.fill(value);
        let seconds = match &filled {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        seconds
            .filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
            .ok_or_else(|| format!("`{}` is no number of seconds", to_text(&filled)))
    }

    fn fill_text(&self, text: &str) -> Value {
        let alone = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        if let Some(value) = alone.filter(|name| is_name(name)).and_then(|name| self.value(name)) {
            return value.clone();
        }
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                filled.push('$');
                rest = after;
                continue;
            }
            let Some((name, length)) = name_in_front(rest) else {
                filled.push('$');
                continue;
            };
            match self.value(name) {
                Some(value) => filled.push_str(&to_text(value)),
                None => {
                    filled.push('$');
                    filled.push_str(&rest[..length]);
                }
            }
            rest = &rest[length..];
        }
        filled.push_str(rest);
        Value::String(filled)
    }
}

/// A value as Python writes it into a text.
pub(crate) fn to_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    }
}

/// The name at the beginning of `text`, bare or in braces, and the length of both.
fn name_in_front(text: &str) -> Option<(&str, usize)> {
    if let Some(inner) = text.strip_prefix('{') {
        let name = &inner[..inner.find('}')?];
        return is_name(name).then_some((name, name.len() + 2));
    }
    let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    is_name(&text[..length]).then_some((&text[..length], length))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let object = |value: Value| value.as_object().cloned().unwrap();
        Scope {
            configuration: object(json!({"host": "here", "port": 80, "on": true, "both": "configuration"})),
            secrets: object(json!({"one": {"token": "t1", "both": "secret"}, "two": {"token": "t2"}})),
            environment: BTreeMap::new(),
        }
    }

    #[test]
    fn names_are_filled_in() {
        for (text, filled) in [
            (json!("http://${host}:$port/"), json!("http://here:80/")),
            (json!("${port}"), json!(80)),
            (json!("${on}"), json!(true)),
            (json!("is $on"), json!("is True")),
            (json!("Bearer ${token}"), json!("Bearer t1")),
            (json!("${both}"), json!("configuration")),
            (json!("${nobody} $nobody"), json!("${nobody} $nobody")),
            (json!("$$host $5 ${ $"), json!("$host $5 ${ $")),
            (json!({"a": ["${port}", {"b": "$host"}], "c": 1}), json!({"a": [80, {"b": "here"}], "c": 1})),
        ] {
            assert_eq!(scope().fill(&text), filled, "{text}");
        }
    }

    #[test]
    fn arguments_are_left_alone_without_any_value() {
        assert_eq!(Scope::default().fill_arguments(&json!("a $$b")), json!("a $$b"));
        assert_eq!(scope().fill_arguments(&json!("a $$b")), json!("a $b"));
    }

    #[test]
    fn seconds_are_numbers_from_zero_on() {
        assert_eq!(scope().seconds(&json!("${port}")), Ok(80.0));
        assert_eq!(scope().seconds(&json!(0.5)), Ok(0.5));
        for wrong in [json!("${host}"), json!(-1), json!("nan")] {
            assert!(scope().seconds(&wrong).unwrap_err().contains("no number of seconds"), "{wrong}");
        }
    }
}
