//! Attributes as Toxiproxy's clients write and read them.
//!
//! A kind that Toxiproxy has shows exactly the attributes it has there, whole
//! numbers where it has whole numbers: typed clients read nothing else.

use sabot_proxy::ToxicView;
use sabot_toxics::Kind;
use serde_json::{Map, Number, Value};

use super::lenient;
use crate::error::ApiError;

/// What was given, under the kind's own names; what it does not know is left
/// out, as is `null`.
pub(super) fn read(kind: &Kind, given: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let known = kind.attributes();
    let mut read = Map::new();
    for (key, value) in given {
        let Some(name) = known.iter().find(|name| name.eq_ignore_ascii_case(&key)) else { continue };
        if value.is_null() {
            continue;
        }
        let value = if is_whole(kind, name) { whole(name, &value)? } else { value };
        read.insert((*name).to_owned(), value);
    }
    Ok(read)
}

/// What these routes show of a toxic's attributes.
pub(super) fn show(toxic: &ToxicView) -> Map<String, Value> {
    let Some(classic) = toxic.kind.classic else { return toxic.attributes.clone() };
    let shown = |name: &&str| {
        let value = match toxic.attributes.get(*name) {
            // Texts and maps, as the kinds for HTTP have them.
            Some(value @ (Value::String(_) | Value::Object(_))) => value.clone(),
            value => {
                let value = value.and_then(Value::as_f64).unwrap_or_default();
                Value::Number(number(if is_whole(toxic.kind, name) { value.round() } else { value }))
            }
        };
        ((*name).to_owned(), value)
    };
    classic.iter().map(shown).collect()
}

/// Whole numbers are written without a fraction, as Go does.
pub(super) fn number(value: f64) -> Number {
    const EXACT: f64 = (1_u64 << 53) as f64;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        Number::from(value as i64)
    } else {
        Number::from_f64(value).unwrap_or_else(|| Number::from(0))
    }
}

/// Whether Toxiproxy has that attribute as an integer: its quantities are,
/// its shares (which have no unit) are not.
fn is_whole(kind: &Kind, name: &str) -> bool {
    let property = &kind.schema()["properties"][name];
    let quantity = property.get("x-unit").is_some() || property["type"] == "integer";
    quantity && kind.classic.is_some_and(|classic| classic.contains(&name))
}

fn whole(name: &str, value: &Value) -> Result<Value, ApiError> {
    match value.as_f64() {
        Some(given) if given.fract() == 0.0 => Ok(Value::Number(number(given))),
        _ => {
            let field = format!("attributes.{name}");
            let error = lenient::bad(format_args!("{field}: {value} is not a whole number"));
            Err(ApiError { field: Some(field), ..error })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(given: &str) -> Result<Map<String, Value>, ApiError> {
        read(sabot_toxics::kind("latency").unwrap(), serde_json::from_str(given).unwrap())
    }

    #[test]
    fn attributes_are_found_in_any_case() {
        for (given, expected) in [
            (r#"{"Latency":5,"JITTER":1}"#, r#"{"latency":5,"jitter":1}"#),
            (r#"{"latency":5.0}"#, r#"{"latency":5}"#),
            (r#"{"latency":null,"unheard_of":1}"#, "{}"),
            (r#"{"Distribution":"normal"}"#, r#"{"distribution":"normal"}"#),
        ] {
            let read = serde_json::to_string(&latency(given).unwrap()).unwrap();
            assert_eq!(read, expected, "{given}");
        }
    }

    #[test]
    fn integers_are_integers() {
        for given in [r#"{"latency":1.5}"#, r#"{"latency":"250us"}"#, r#"{"latency":true}"#] {
            let error = latency(given).unwrap_err();
            assert!(error.message.starts_with("bad request body: attributes.latency: "), "{}", error.message);
        }
    }

    #[test]
    fn texts_and_maps_are_shown_as_they_are() {
        for (kind, given, expected) in [
            (
                "status_code",
                r#"{"STATUS_CODE":503.0,"content_encoding":"gzip"}"#,
                r#"{"status_code":503,"modify_response_body":0,"response_body":"","content_encoding":"gzip","content_type":""}"#,
            ),
            ("header", r#"{"headers":"{\"x-a\":\"b\"}"}"#, r#"{"mode":"response","headers":{"x-a":"b"}}"#),
            ("modify_body", r#"{"body":"x"}"#, r#"{"body":"x","content_encoding":"","content_type":""}"#),
        ] {
            let kind = sabot_toxics::kind(kind).unwrap();
            let given = read(kind, serde_json::from_str(given).unwrap()).unwrap();
            let toxic = ToxicView {
                name: String::new(),
                owner: None,
                kind,
                stream: sabot_toxics::Direction::Downstream,
                toxicity: 1.0,
                attributes: kind.parse(&given).unwrap().attributes(),
                when: sabot_toxics::When::default(),
                applied: 0,
                expires_in_ms: None,
            };
            assert_eq!(serde_json::to_string(&show(&toxic)).unwrap(), expected);
        }
    }

    #[test]
    fn only_shares_may_have_fractions() {
        for kind in sabot_toxics::kinds() {
            for name in kind.classic.into_iter().flatten() {
                let share = matches!(*name, "loss_rate" | "correlation");
                let defaults = kind.parse(&Map::new()).unwrap().attributes();
                let number = defaults[*name].is_number();
                assert_eq!(is_whole(kind, name), number && !share, "{name} of {}", kind.name);
            }
        }
    }
}
