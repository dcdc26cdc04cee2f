//! Changes of a JSON document: merge patches and values by pointer.

use serde_json::{Map, Value};

/// Lays `patch` over `target` (RFC 7386, section 2).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.shift_remove(name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// Whether the text is a JSON pointer (RFC 6901, section 3).
#[must_use]
pub fn is_pointer(text: &str) -> bool {
    let escapes = || text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes()
}

/// Puts `value` where `pointer` leads; `null` takes away what is there. A field that is
/// not there is made, and `-` is behind the last item of an array; where there is no
/// parent, nothing happens.
pub fn put(document: &mut Value, pointer: &str, value: &Value) {
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        *document = value.clone();
        return;
    };
    let name = last.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent) {
        Some(Value::Object(fields)) if value.is_null() => drop(fields.shift_remove(&name)),
        Some(Value::Object(fields)) => drop(fields.insert(name, value.clone())),
        Some(Value::Array(items)) => {
            let index = if name == "-" { Some(items.len()) } else { index(&name) };
            match index {
                Some(index) if index < items.len() && value.is_null() => drop(items.remove(index)),
                Some(index) if index < items.len() => items[index] = value.clone(),
                Some(index) if index == items.len() && !value.is_null() => items.push(value.clone()),
                _ => {}
            }
        }
        _ => {}
    }
}

/// No leading zeros (RFC 6901, section 4).
fn index(text: &str) -> Option<usize> {
    let plain = text == "0" || text.starts_with(|first: char| ('1'..='9').contains(&first));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_does_what_its_rfc_shows() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!(["a", "b"]), json!(["c"]), json!(["c"])),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (mut target, patch, merged) in cases {
            merge(&mut target, &patch);
            assert_eq!(target, merged, "{patch}");
        }
    }

    #[test]
    fn a_pointer_leads_to_one_place() {
        let cases = [
            ("/a/0", json!(9), json!({"a": [9, 2], "x/y": {"~": 1}})),
            ("/a/-", json!(3), json!({"a": [1, 2, 3], "x/y": {"~": 1}})),
            ("/a/2", json!(3), json!({"a": [1, 2, 3], "x/y": {"~": 1}})),
            ("/a/1", json!(null), json!({"a": [1], "x/y": {"~": 1}})),
            ("/a/01", json!(9), json!({"a": [1, 2], "x/y": {"~": 1}})),
            ("/a/7", json!(9), json!({"a": [1, 2], "x/y": {"~": 1}})),
            ("/x~1y/~0", json!("t"), json!({"a": [1, 2], "x/y": {"~": "t"}})),
            ("/x~1y", json!(null), json!({"a": [1, 2]})),
            ("/b", json!(true), json!({"a": [1, 2], "x/y": {"~": 1}, "b": true})),
            ("/b/c", json!(true), json!({"a": [1, 2], "x/y": {"~": 1}})),
            ("", json!(5), json!(5)),
        ];
        for (pointer, value, result) in cases {
            assert!(is_pointer(pointer));
            let mut document = json!({"a": [1, 2], "x/y": {"~": 1}});
            put(&mut document, pointer, &value);
            assert_eq!(document, result, "{pointer}");
        }
        assert!(!is_pointer("a/b") && !is_pointer("/a~2") && !is_pointer("/a~"));
    }
}
