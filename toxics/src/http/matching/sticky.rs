//! What makes requests share their fate.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};

use super::head::{Head, text};

/// What makes requests belong together.
#[derive(Clone, Debug, PartialEq)]
pub enum Sticky {
    /// A header's value.
    Header(HeaderName),
    /// A cookie's value.
    Cookie(String),
}

impl Sticky {
    /// The value that the draw hangs on.
    #[must_use]
    pub fn value<'a>(&'a self, head: &'a impl Head) -> Option<&'a [u8]> {
        match self {
            Self::Header(name) => head.values(name.as_str()).next(),
            Self::Cookie(name) => {
                let pairs = head.values("cookie").filter_map(text).flat_map(|text| text.split(';'));
                let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
                pairs.find(|(given, _)| given == name).map(|(_, value)| value.as_bytes())
            }
        }
    }
}

impl FromStr for Sticky {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("header", name)) => {
                name.parse().map(Self::Header).map_err(|_| format!("`{name}` is no name of a header"))
            }
            Some(("cookie", name)) if !name.is_empty() => Ok(Self::Cookie(name.to_owned())),
            _ => Err(format!("`{text}` names nothing: give `header:NAME` or `cookie:NAME`")),
        }
    }
}

impl fmt::Display for Sticky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

impl Serialize for Sticky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sticky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Sticky {
    fn schema_name() -> Cow<'static, str> {
        "Sticky".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(header|cookie):.+$"})
    }
}
