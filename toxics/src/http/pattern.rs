//! A pattern for a path, a host or a value.

use std::borrow::Cow;
use std::fmt;

use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// What a text is compared with: a plain string is the whole text, an object says
/// `exact`, `prefix`, `glob` or `regex`.
///
/// In a glob `*` is anything but `/`, `**` anything at all, `?` one character; all else,
/// brackets and braces too, is itself.
#[derive(Clone)]
pub struct Pattern {
    kind: Kind,
    text: String,
    /// For globs and expressions.
    regex: Option<Regex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    Glob,
    Regex,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] =
        [("exact", Self::Exact), ("prefix", Self::Prefix), ("glob", Self::Glob), ("regex", Self::Regex)];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("exact", |(name, _)| name)
    }
}

/// A compiled expression may take so many bytes.
const SIZE_LIMIT: usize = 1 << 20;

impl Pattern {
    /// The pattern that only `text` fits.
    pub fn exact(text: impl Into<String>) -> Self {
        Self { kind: Kind::Exact, text: text.into(), regex: None }
    }

    /// The text that all that fits begins with, if it is written out, and whether it is
    /// the whole.
    pub(crate) fn literal(&self) -> Option<(&str, bool)> {
        match self.kind {
            Kind::Exact => Some((&self.text, true)),
            Kind::Prefix => Some((&self.text, false)),
            Kind::Glob | Kind::Regex => None,
        }
    }

    /// Whether `text` fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        match (self.kind, &self.regex) {
            (Kind::Exact, _) => text == self.text,
            (Kind::Prefix, _) => text.starts_with(&self.text),
            (Kind::Glob | Kind::Regex, regex) => regex.as_ref().is_some_and(|regex| regex.is_match(text)),
        }
    }

    fn new(kind: Kind, text: String) -> Result<Self, String> {
        let source = match kind {
            Kind::Exact | Kind::Prefix => None,
            Kind::Glob => Some(glob(&text)),
            Kind::Regex => Some(text.clone()),
        };
        let compile = |source: String| {
            RegexBuilder::new(&source).size_limit(SIZE_LIMIT).build().map_err(|error| {
                // The expression is repeated over several lines; the last says what is wrong.
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("`{source}` is no regular expression: {reason}")
            })
        };
        let regex = source.map(compile).transpose()?;
        Ok(Self { kind, text, regex })
    }
}

/// The expression that a glob stands for.
fn glob(text: &str) -> String {
    let mut source = String::from("^(?s:");
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '*' if rest.next_if_eq(&'*').is_some() => source.push_str(".*"),
            '*' => source.push_str("[^/]*"),
            '?' => source.push('.'),
            other => source.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    source.push_str(")$");
    source
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.text) == (other.kind, &other.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind.name(), self.text)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.kind {
            Kind::Exact => self.text.serialize(serializer),
            kind => Map::from_iter([(kind.name().to_owned(), Value::from(self.text.as_str()))])
                .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = match Value::deserialize(deserializer)? {
            Value::String(text) => return Ok(Self::exact(text)),
            // What a shell passes as a number or a truth is a text here.
            Value::Number(number) => return Ok(Self::exact(number.to_string())),
            Value::Bool(truth) => return Ok(Self::exact(truth.to_string())),
            Value::Object(object) if object.len() == 1 => object,
            _ => {
                let message =
                    "expected a string, or an object with one of `exact`, `prefix`, `glob`, `regex`";
                return Err(de::Error::custom(message));
            }
        };
        let (name, value) = object.into_iter().next().unwrap_or_default();
        let Some((_, kind)) = Kind::ALL.iter().find(|(known, _)| *known == name) else {
            let known = Kind::ALL.map(|(name, _)| name);
            let message = format!("unknown pattern `{name}`{}", crate::suggestion(&name, &known));
            return Err(de::Error::custom(message));
        };
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return Err(de::Error::custom(format!("`{name}` must be a string"))),
        };
        Self::new(*kind, text).map_err(de::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = json_schema!({"type": "string"});
        json_schema!({
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": false,
                    "properties": {"exact": text, "prefix": text, "glob": text, "regex": text},
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    fn pattern(value: Value) -> Pattern {
        from_value(value).unwrap()
    }

    #[test]
    fn each_pattern_fits_what_it_says() {
        let cases = [
            (json!("/charge"), vec!["/charge"], vec!["/charge/", "/Charge", "/x/charge"]),
            (json!({"prefix": "/api/"}), vec!["/api/", "/api/x"], vec!["/api", "/v1/api/"]),
            (
                json!({"glob": "/users/*/cart"}),
                vec!["/users/7/cart"],
                vec!["/users/7/8/cart", "/users/7/cart2"],
            ),
            (json!({"glob": "/a/**"}), vec!["/a/", "/a/b/c"], vec!["/b/a/"]),
            (json!({"glob": "v?.1"}), vec!["v2.1"], vec!["v22.1", "v2x1"]),
            (json!({"regex": "^/v[0-9]+/"}), vec!["/v1/x", "/v22/"], vec!["/v/", "x/v1/"]),
        ];
        for (value, fits, not) in cases {
            let pattern = pattern(value.clone());
            assert!(fits.iter().all(|text| pattern.fits(text)), "{value}: {fits:?}");
            assert!(!not.iter().any(|text| pattern.fits(text)), "{value}: {not:?}");
            assert_eq!(to_value(&pattern).unwrap(), value);
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_reason() {
        let refused = |value| from_value::<Pattern>(value).unwrap_err().to_string();
        assert!(
            refused(json!({"regex": "("})).contains("unclosed group"),
            "{}",
            refused(json!({"regex": "("}))
        );
        assert!(refused(json!({"prefx": "/"})).contains("did you mean `prefix`?"));
        assert!(refused(json!({"prefix": "/", "glob": "*"})).contains("one of `exact`"));
        assert!(refused(json!({"regex": "(a{500}){500}"})).contains("size limit"));
    }
}
