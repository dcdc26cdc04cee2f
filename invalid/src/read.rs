//! A value read into a type; what serde says against it, in the words of whoever typed it.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Invalid, suggestion};

/// The value as a `T`.
///
/// # Errors
/// A field is unknown (with the nearest known one), missing, of another type or out of range;
/// `field` is its path within the value, empty for the value itself. An [`Invalid`] that went
/// through serde as a text comes out with its own field.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, Invalid> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        // "." is the value itself.
        said(path.trim_start_matches('.'), &error.inner().to_string())
    })
}

/// Takes a field out of an object; `None` if it is absent or null.
///
/// # Errors
/// As [`read`].
pub fn take<T: DeserializeOwned>(map: &mut Map<String, Value>, field: &str) -> Result<Option<T>, Invalid> {
    match map.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).map(Some).map_err(|error| error.within(field)),
    }
}

/// serde names fields and choices in its text only.
fn said(path: &str, message: &str) -> Invalid {
    if let Some((field, known)) = unknown("field", message) {
        let message = format!("unknown field{}", suggestion(field, &known));
        // The path ends with the field where serde stood on it.
        let on_it = path == field || path.ends_with(&format!(".{field}"));
        return Invalid::new(if on_it { "" } else { field }, message).within(path);
    }
    if let Some((choice, known)) = unknown("variant", message) {
        return Invalid::new(path, format!("`{choice}` is not known here{}", suggestion(choice, &known)));
    }
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return Invalid::new(field, "is missing").within(path);
    }
    match message.split_once(": ").filter(|(field, _)| is_path(field)) {
        Some((field, message)) => Invalid::new(field, message).within(path),
        None => Invalid::new(path, plain(message)),
    }
}

/// The name that does not exist, and those that do.
fn unknown<'a>(what: &str, message: &'a str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix("unknown ")?.strip_prefix(what)?.strip_prefix(" `")?;
    // The names that exist stand last; the one that was given may hold anything.
    let (given, known) = rest.rsplit_once("`, expected ").or_else(|| rest.rsplit_once("`, there are no "))?;
    Some((given, known.split('`').skip(1).step_by(2).collect()))
}

/// Whether it may be the field of an [`Invalid`]; that of the value itself has no name.
fn is_path(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']'))
}

/// `must be a whole number, not "x"` for `invalid type: string "x", expected u64`; other
/// messages stay as they are.
fn plain(message: &str) -> String {
    let told = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    // What is expected stands last; text that was given may say the same.
    if let Some((given, expected)) = told.and_then(|told| told.rsplit_once(", expected ")) {
        if expected == "map with a single key" {
            return "must hold one field, which says of what sort it is".to_owned();
        }
        return format!("must be {}, not {}", wanted(expected), found(given));
    }
    match message.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected ")) {
        Some((_, expected)) if expected.starts_with("struct ") => {
            format!("must be {}, not a list", wanted(expected))
        }
        Some((length, expected)) => format!("must be {}, not {length} of them", wanted(expected)),
        None => message.to_owned(),
    }
}

fn wanted(expected: &str) -> String {
    // The largest number of each type, where somebody may have passed it.
    let words = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "an object",
        "a sequence" => "a list",
        "unit" => "null",
        "string or map" => "a name",
        expected if expected.starts_with("struct ") => "an object",
        expected if expected.starts_with("enum ") => "a name",
        expected if expected.starts_with("a tuple") => "a list",
        expected => expected,
    };
    words.to_owned()
}

fn found(given: &str) -> String {
    match given {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "unit value" | "Option value" => "null".to_owned(),
        given => {
            let value = ["integer ", "floating point ", "boolean ", "string "];
            let value = value.iter().find_map(|kind| given.strip_prefix(kind));
            value.unwrap_or(given).trim_matches('`').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::{DeserializeOwned, Error};
    use serde_json::{Value, json};

    use super::read;
    use crate::Invalid;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        name: Option<String>,
        inner: Option<Vec<Inner>>,
        share: Option<Share>,
        share_at: Option<BTreeMap<String, Share>>,
        color: Option<Color>,
        nothing: Option<Nothing>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        a: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Color {
        Red,
        Blue,
    }

    /// Refuses by an [`Invalid`] that goes through serde, as settings do that check themselves.
    #[derive(Debug)]
    struct Share;

    impl<'de> Deserialize<'de> for Share {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let field = String::deserialize(from)?;
            Err(Error::custom(Invalid::new(field, "must lie between 0 and 1")))
        }
    }

    fn said<T: DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
        read::<T>(value).unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_names_the_field_and_the_remedy() {
        for (value, expected) in [
            (json!({"nmae": 1}), "nmae: unknown field, did you mean `name`?"),
            (json!({"inner": [{"a": 1, "b": 2}]}), "inner[0].b: unknown field, did you mean `a`?"),
            (
                json!({"x`, expected `y": 1}),
                "x`, expected `y: unknown field, known are: name, inner, share, share_at, color, nothing",
            ),
            (json!({"nothing": {"a": 1}}), "nothing.a: unknown field, there are none"),
            (json!({"inner": [{}]}), "inner[0].a: is missing"),
            (json!({"color": "blu"}), "color: `blu` is not known here, did you mean `blue`?"),
            (json!({"color": "green"}), "color: `green` is not known here, known are: red, blue"),
            (json!({"share": "of.jitter[0]"}), "share.of.jitter[0]: must lie between 0 and 1"),
            (json!({"share": ""}), "share: must lie between 0 and 1"),
            // A map may have a field and a parent of one name.
            (json!({"share_at": {"x": "x"}}), "share_at.x.x: must lie between 0 and 1"),
            // What only looks like a field is part of the message.
            (json!({"share": "such as this"}), "share: such as this: must lie between 0 and 1"),
        ] {
            assert_eq!(said::<Outer>(value), expected);
        }
        assert_eq!(said::<BTreeMap<String, Inner>>(json!({"a": {}})), "a.a: is missing");
    }

    #[test]
    fn no_type_of_rust_is_named() {
        for (found, expected) in [
            (said::<u64>(json!("x, expected y")), "must be a whole number, 0 or more, not \"x, expected y\""),
            (said::<u64>(json!(-5)), "must be a whole number, 0 or more, not -5"),
            (said::<u64>(json!(1.5)), "must be a whole number, 0 or more, not 1.5"),
            (
                said::<u32>(json!(5_000_000_000_u64)),
                "must be a whole number from 0 to 4294967295, not 5000000000",
            ),
            (said::<f64>(json!(true)), "must be a number, not true"),
            (said::<bool>(json!({})), "must be true or false, not an object"),
            (said::<String>(json!({"a": 1})), "must be a string, not an object"),
            (said::<String>(json!(null)), "must be a string, not null"),
            (said::<BTreeMap<String, u8>>(json!("a")), "must be an object, not \"a\""),
            (said::<Inner>(json!(true)), "must be an object, not true"),
            (said::<Inner>(json!([])), "must be an object, not a list"),
            (said::<Vec<u8>>(json!("h2")), "must be a list, not \"h2\""),
            (said::<Color>(json!(1)), "must be a name, not 1"),
        ] {
            assert_eq!(found, format!(": {expected}"));
        }
    }
}
