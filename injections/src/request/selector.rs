//! Which of the proxies of a service are meant, by their labels.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sabot_toxics::Invalid;
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// The labels of a proxy.
pub type Labels = BTreeMap<String, String>;

/// Terms that all have to be met: `shard=south-1`, `env!=production`, `canary`, `!legacy`,
/// `zone in (a, b)`, `zone notin (a, b)`, separated by commas. No term is met by every proxy.
///
/// The syntax is that of Kubernetes' label selectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    text: String,
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    /// One of these; a proxy without the label meets it not.
    In(String, Vec<String>),
    /// None of these; a proxy without the label meets it.
    NotIn(String, Vec<String>),
    Has(String),
    HasNot(String),
}

impl Selector {
    /// Whether a proxy of these labels is meant.
    #[must_use]
    pub fn meets(&self, labels: &Labels) -> bool {
        self.terms.iter().all(|term| match term {
            Term::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Term::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Term::Has(key) => labels.contains_key(key),
            Term::HasNot(key) => !labels.contains_key(key),
        })
    }

    /// Reads a selector that somebody has given: it names a label. One that came out of an empty variable
    /// must not mean everything.
    ///
    /// # Errors
    /// What is no term; none at all.
    pub fn given(text: &str) -> Result<Self, Invalid> {
        let selector: Self = text.parse()?;
        if selector.is_empty() {
            let message =
                format!("`{text}` names no label, and would mean all: leave it out if that is meant");
            return Err(Invalid::new("selector", message));
        }
        Ok(selector)
    }

    /// Whether it names no label: it means every proxy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

impl FromStr for Selector {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let terms = split(text).map(term).collect::<Result<_, _>>();
        let terms = terms.map_err(|message| Invalid::new("selector", message))?;
        Ok(Self { text: text.trim().to_owned(), terms })
    }
}

/// At the commas that stand in no parentheses; an empty text has no terms.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    let at_comma = move |char: char| {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        char == ',' && depth == 0
    };
    text.split(at_comma).map(str::trim).filter(|term| !term.is_empty())
}

fn term(text: &str) -> Result<Term, String> {
    let one = |value: &str| vec![value.trim().to_owned()];
    let (key, term) = if let Some((key, value)) = text.split_once("!=") {
        (key, Term::NotIn(name(key)?, one(value)))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Term::In(name(key)?, one(value)))
    } else if let Some((key, rest)) = text.split_once(char::is_whitespace).filter(|_| text.contains('(')) {
        let rest = rest.trim();
        let (not, list) = match (rest.strip_prefix("notin"), rest.strip_prefix("in")) {
            (Some(list), _) => (true, list),
            (_, Some(list)) => (false, list),
            _ => return Err(unreadable(text)),
        };
        let list = list.trim().strip_prefix('(').and_then(|list| list.strip_suffix(')'));
        let list = list.ok_or_else(|| unreadable(text))?;
        let values: Vec<_> = list.split(',').flat_map(one).filter(|value| !value.is_empty()).collect();
        if values.is_empty() {
            return Err(format!("`{text}` lists no value"));
        }
        (key, if not { Term::NotIn(name(key)?, values) } else { Term::In(name(key)?, values) })
    } else if let Some(key) = text.strip_prefix('!') {
        (key, Term::HasNot(name(key)?))
    } else {
        (text, Term::Has(name(text)?))
    };
    if let Term::In(_, values) | Term::NotIn(_, values) = &term
        && values.iter().any(|value| !value.chars().all(is_value))
    {
        return Err(format!("the value of `{}` holds what no label can", key.trim()));
    }
    Ok(term)
}

fn name(key: &str) -> Result<String, String> {
    let key = key.trim();
    let fine = key.chars().all(|char| char.is_ascii_alphanumeric() || "._/-".contains(char));
    if key.is_empty() || !fine {
        return Err(unreadable(key));
    }
    Ok(key.to_owned())
}

fn is_value(char: char) -> bool {
    char.is_ascii_alphanumeric() || "._:@/-".contains(char)
}

fn unreadable(text: &str) -> String {
    format!("`{text}` is no term: write `key=value`, `key!=value`, `key`, `!key` or `key in (a, b)`")
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: Invalid| de::Error::custom(error.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_term_says_which_labels_meet_it() {
        let labels = Labels::from([("shard".into(), "south-1".into()), ("canary".into(), String::new())]);
        for (selector, meets) in [
            ("", true),
            ("shard=south-1", true),
            ("shard==south-1 , canary", true),
            ("shard=south-2", false),
            ("shard!=south-2", true),
            ("env!=production", true),
            ("env=production", false),
            ("!env", true),
            ("!shard", false),
            ("shard in (south-1, south-2)", true),
            ("shard in (north-1)", false),
            ("shard notin (south-1),canary", false),
            ("env notin (production)", true),
            ("canary=", true),
        ] {
            let parsed: Selector = selector.parse().unwrap();
            assert_eq!(parsed.meets(&labels), meets, "{selector}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (selector, told) in [
            ("=a", "is no term"),
            ("a b", "is no term"),
            ("a of (b)", "is no term"),
            ("a in (b", "is no term"),
            ("a in ()", "lists no value"),
            ("a=b c", "holds what no label can"),
        ] {
            let error = selector.parse::<Selector>().unwrap_err();
            assert!(error.message.contains(told), "{selector}: {error}");
        }
        for none in ["", " ", ",", " , ,"] {
            let error = Selector::given(none).unwrap_err();
            assert!(error.message.contains("leave it out"), "{error}");
        }
        assert_eq!(Selector::given("a=b").unwrap().to_string(), "a=b");
    }
}
