//! JSON that must be exactly what the route asks for.
//!
//! What does not fit is answered with the path of the field and, where a name
//! is unknown, the nearest one that exists – for every body, without any of
//! them knowing.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;

/// Reads a body.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.trim_ascii().is_empty() {
        return Err(ApiError::bad_request("the body is empty: a JSON object is expected"));
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("the body is not JSON: {error}")))?;
    sabot_toxics::read(value)
        .map_err(|error| if error.field.is_empty() { error.within("body") } else { error }.into())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        name: String,
        count: Option<u32>,
        inner: Option<Vec<Inner>>,
        toxics: Option<Vec<sabot_toxics::ToxicSpec>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        size: u32,
    }

    #[test]
    fn every_refusal_names_its_field() {
        for (body, field, message) in [
            ("", None, "the body is empty: a JSON object is expected"),
            ("{", None, "the body is not JSON: EOF while parsing an object at line 1 column 1"),
            ("[]", Some("body"), "body: must be an object, not a list"),
            ("{}", Some("name"), "name: is missing"),
            (r#"{"nmae":"a"}"#, Some("nmae"), "nmae: unknown field, did you mean `name`?"),
            (r#"{"name":1}"#, Some("name"), "name: must be a string, not 1"),
            (
                r#"{"name":"a","inner":[{"sise":1}]}"#,
                Some("inner[0].sise"),
                "inner[0].sise: unknown field, did you mean `size`?",
            ),
            (r#"{"name":"a","inner":[{}]}"#, Some("inner[0].size"), "inner[0].size: is missing"),
            (
                r#"{"name":"a","toxics":[{"type":"latency","attributes":{"latncy":1}}]}"#,
                Some("toxics[0].attributes.latncy"),
                "toxics[0].attributes.latncy: unknown attribute of latency, did you mean `latency`?",
            ),
            (
                r#"{"name":"a","toxics":[{}]}"#,
                Some("toxics[0].type"),
                "toxics[0].type: is missing: say which kind of toxic",
            ),
        ] {
            let error = read::<Outer>(body.as_bytes()).unwrap_err();
            assert_eq!((error.field.as_deref(), error.message.as_str()), (field, message), "{body}");
        }
    }
}
