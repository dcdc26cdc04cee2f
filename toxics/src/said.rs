//! What serde says of a value, in the words of whoever typed it.

/// `must be a whole number, not "x"` for `invalid type: string "x", expected u64`; other
/// messages stay as they are.
#[must_use]
pub fn plain(message: &str) -> String {
    let told = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    // What is expected stands last; text that was given may say the same.
    if let Some((given, expected)) = told.and_then(|told| told.rsplit_once(", expected ")) {
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
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::plain;

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only read")]
        a: u8,
    }

    fn said<T: DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
        plain(&serde_json::from_value::<T>(value).unwrap_err().to_string())
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
            (said::<crate::Direction>(json!(1)), "must be a name, not 1"),
            (said::<Inner>(json!({})), "missing field `a`"),
        ] {
            assert_eq!(found, expected);
        }
    }
}
