//! Which settings of injections are others than they were: for the audit, which asks who allowed what.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// No value is told longer, in characters: the audit keeps them all.
const TOLD: usize = 200;

/// The fields that differ, each with what it was and is. Of indicators and webhooks the names alone are told:
/// their URLs, headers and commands may hold secrets.
pub(super) fn changed(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<String> {
    let mut told = Vec::new();
    for (field, old, new) in differing(old, new) {
        match field {
            "webhooks" => told.push("webhooks".to_owned()),
            "slos" => {
                let (old, new) = (fields(old), fields(new));
                told.extend(differing(&old, &new).map(|(name, ..)| format!("slos.{name}")));
            }
            "approval" | "limits" => {
                let (old, new) = (fields(old), fields(new));
                let each = differing(&old, &new);
                told.extend(each.map(|(name, old, new)| told_of(&format!("{field}.{name}"), old, new)));
            }
            _ => told.push(told_of(field, old, new)),
        }
    }
    told
}

/// What differs, in the order of the names. Null means absent.
fn differing<'a>(
    old: &'a Map<String, Value>,
    new: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a str, &'a Value, &'a Value)> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).map(String::as_str).collect();
    let value = |map: &'a Map<String, Value>, name: &str| map.get(name).unwrap_or(&Value::Null);
    let both = names.into_iter().map(move |name| (name, value(old, name), value(new, name)));
    both.filter(|(_, old, new)| old != new)
}

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn told_of(field: &str, old: &Value, new: &Value) -> String {
    format!("{field} {} → {}", shown(old), shown(new))
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "unset".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(TOLD) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(old: &Value, new: &Value) -> Vec<String> {
        changed(old.as_object().unwrap(), new.as_object().unwrap())
    }

    #[test]
    fn what_differs_is_told_by_its_field_and_secrets_are_not() {
        let old = json!({
            "longest": "1h", "patience": "5m",
            "approval": {"above_targets": 1, "environments": ["production"]},
            "limits": {"error_rate": 0.05},
            "windows": [{"reason": "freeze"}],
            "slos": {
                "writes": {"prometheus": {"url": "http://user:secret@host", "query": "up"}},
                "same": {"proxies": {}}, "gone": {"proxies": {}},
            },
            "webhooks": [{"url": "https://hooks.example.com/secret"}],
        });
        let new = json!({
            "longest": "2h", "patience": "5m",
            "approval": {"environments": ["production"]},
            "slos": {
                "writes": {"prometheus": {"url": "http://user:other-secret@host", "query": "up"}},
                "same": {"proxies": {}}, "new": {"proxies": {}},
            },
            "webhooks": null,
        });
        let told = of(&old, &new);
        assert_eq!(
            told,
            [
                "approval.above_targets 1 → unset",
                "limits.error_rate 0.05 → unset",
                "longest 1h → 2h",
                "slos.gone",
                "slos.new",
                "slos.writes",
                "webhooks",
                r#"windows [{"reason":"freeze"}] → unset"#,
            ]
        );
        assert!(of(&old, &old).is_empty() && of(&json!({}), &json!({"most": null})).is_empty());
    }

    #[test]
    fn no_value_is_told_at_length() {
        let told = of(&json!({}), &json!({"experiments": "é".repeat(1000)}));
        assert_eq!(told, [format!("experiments unset → {}…", "é".repeat(TOLD))]);
    }
}
