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
