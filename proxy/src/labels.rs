//! What a proxy may be labelled with. Labels are for whoever selects proxies; the proxy itself
//! does nothing with them.

use std::collections::BTreeMap;

use sabot_toxics::Invalid;

/// Labels of one proxy; enough to describe it, too few to store data in.
const MOST: usize = 32;

/// Characters of a key or a value: what Kubernetes has, so that its labels can be taken over.
const LONGEST: usize = 63;

/// Refuses labels that no selector could name.
///
/// # Errors
/// `labels.<key>`, and what it may be.
pub(crate) fn check(labels: &BTreeMap<String, String>) -> Result<(), Invalid> {
    if labels.len() > MOST {
        let message = format!(
            "must be {MOST} at most, and these are {}: keep what proxies are selected by",
            labels.len()
        );
        return Err(Invalid::new("labels", message));
    }
    labels.iter().try_for_each(|(key, value)| {
        let problem = problem_of_key(key).or_else(|| problem_of_value(value));
        problem.map_or(Ok(()), |problem| Err(Invalid::new(format!("labels.{}", shown(key)), problem)))
    })
}

fn problem_of_key(key: &str) -> Option<String> {
    if key.is_empty() {
        return Some("a key must not be empty: write it as key=value".to_owned());
    }
    if key.chars().count() > LONGEST {
        return Some(format!("a key has {LONGEST} characters at most: shorten it"));
    }
    if !key.starts_with(|char: char| char.is_ascii_alphanumeric()) {
        return Some("a key begins with a letter or a digit: change its first character".to_owned());
    }
    let fits = |char: char| char.is_ascii_alphanumeric() || "._/-".contains(char);
    let char = key.chars().find(|char| !fits(*char))?;
    Some(format!("a key has letters, digits and . _ / - only: take {char:?} out"))
}

fn problem_of_value(value: &str) -> Option<String> {
    if value.chars().count() > LONGEST {
        return Some(format!("a value has {LONGEST} characters at most: shorten it"));
    }
    let fits = |char: char| char.is_ascii_alphanumeric() || "._:@/-".contains(char);
    let char = value.chars().find(|char| !fits(*char))?;
    Some(format!("a value has letters, digits and . _ : @ / - only: take {char:?} out"))
}

/// A key that may be anything, as far as a message can show it.
fn shown(key: &str) -> String {
    key.chars().take(LONGEST + 1).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(key: &str, value: &str) -> Option<String> {
        check(&BTreeMap::from([(key.to_owned(), value.to_owned())])).err().map(|error| error.to_string())
    }

    #[test]
    fn keys_and_values_are_what_selectors_can_name() {
        let (longest, longer) = ("k".repeat(LONGEST), "k".repeat(LONGEST + 1));
        for (key, value) in
            [("a", ""), ("0", "-"), ("app.example/name_x-y", "a.b_c:d@e/f-G9"), (&longest, &longest)]
        {
            assert_eq!(refusal(key, value), None);
        }
        for (key, value, told) in [
            ("", "v", "labels.: a key must not be empty: write it as key=value"),
            ("-a", "v", "labels.-a: a key begins with a letter or a digit: change its first character"),
            ("a b", "v", "labels.a b: a key has letters, digits and . _ / - only: take ' ' out"),
            ("a:b", "v", "labels.a:b: a key has letters, digits and . _ / - only: take ':' out"),
            ("aä\n", "v", "labels.aä\\n: a key has letters, digits and . _ / - only: take 'ä' out"),
            ("k", "v,w", "labels.k: a value has letters, digits and . _ : @ / - only: take ',' out"),
            ("k", &longer, "labels.k: a value has 63 characters at most: shorten it"),
        ] {
            assert_eq!(refusal(key, value).as_deref(), Some(told));
        }
        let told = refusal(&"k".repeat(1000), "v").unwrap();
        assert_eq!(told, format!("labels.{longer}: a key has 63 characters at most: shorten it"));
    }

    #[test]
    fn a_few_are_enough() {
        let labels = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect();
        assert!(check(&labels(MOST)).is_ok());
        let error = check(&labels(MOST + 1)).unwrap_err();
        assert_eq!((error.field.as_str(), error.message.contains("these are 33")), ("labels", true));
    }
}
