//! Which requests a fault is meant for: one set of conditions for all kinds.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderName, Method, StatusCode, request, uri};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Pattern;

/// Which requests a fault is meant for. All that is given must hold.
///
/// How many of them it takes is not said here: a share by `toxicity`, the first N or
/// every Nth by `when`, by client address `when.clients`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// The method, or several.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "methods")]
    #[schemars(with = "Vec<String>")]
    pub method: Vec<Method>,
    /// The path, without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Pattern>,
    /// The host that is asked for, in lower case and without the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Pattern>,
    /// Parameters of the query by name; one of a name's values must fit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Pattern>,
    /// Headers of the request by name; one of a name's values must fit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Pattern>")]
    pub headers: BTreeMap<Header, Pattern>,
    /// Statuses of the answer: a number, `"5xx"`, `"500-504"`, or several. The fault
    /// then acts when the answer has come.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "statuses")]
    #[schemars(with = "Vec<StatusRange>")]
    pub status: Vec<StatusRange>,
    /// The full name of the gRPC service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_service: Option<Pattern>,
    /// The name of the gRPC method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_method: Option<Pattern>,
    /// `header:NAME` or `cookie:NAME`: the draw hangs on its value instead of the
    /// request, so the same user is always in or always out. Requests without it are out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
}

impl Match {
    /// Every field name, for suggestions.
    pub const FIELDS: [&'static str; 9] =
        ["method", "path", "host", "query", "headers", "status", "grpc_service", "grpc_method", "sticky"];

    /// Whether the request is one that is meant, as far as its head tells.
    #[must_use]
    pub fn request(&self, head: &request::Parts) -> bool {
        (self.method.is_empty() || self.method.contains(&head.method))
            && self.path.as_ref().is_none_or(|path| path.fits(head.uri.path()))
            && self.host.as_ref().is_none_or(|host| host_of(head).is_some_and(|name| host.fits(&name)))
            && self.query.iter().all(|(name, value)| query(&head.uri, name).any(|given| value.fits(&given)))
            && self.headers.iter().all(|(name, value)| has_header(&head.headers, name, value))
            && self.grpc(head)
            && self.sticky.as_ref().is_none_or(|sticky| sticky.value(&head.headers).is_some())
    }

    /// Whether only the answer tells.
    #[must_use]
    pub fn needs_answer(&self) -> bool {
        !self.status.is_empty()
    }

    /// Whether the answer's status is one that is meant.
    #[must_use]
    pub fn answer(&self, status: StatusCode) -> bool {
        self.status.is_empty() || self.status.iter().any(|range| range.holds(status.as_u16()))
    }

    fn grpc(&self, head: &request::Parts) -> bool {
        if self.grpc_service.is_none() && self.grpc_method.is_none() {
            return true;
        }
        let Some((service, method)) = head.uri.path().trim_start_matches('/').rsplit_once('/') else {
            return false;
        };
        is_grpc(&head.headers)
            && self.grpc_service.as_ref().is_none_or(|pattern| pattern.fits(service))
            && self.grpc_method.as_ref().is_none_or(|pattern| pattern.fits(method))
    }
}

/// Whether the message is one of gRPC, by its content type.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| {
        value
            .strip_prefix("application/grpc")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
    })
}

fn host_of(head: &request::Parts) -> Option<String> {
    let text = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head.headers.get(http::header::HOST)?.to_str().ok()?,
    };
    let authority = uri::Authority::from_str(text).ok()?;
    Some(authority.host().to_ascii_lowercase())
}

fn query<'a>(uri: &'a http::Uri, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.filter_map(move |pair| {
        let (given, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(given) == name).then(|| decoded(value))
    })
}

/// Percent-decoded, `+` as a space; as it is if that is no text.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned().into()
}

fn has_header(headers: &HeaderMap, name: &Header, value: &Pattern) -> bool {
    headers.get_all(&name.0).iter().any(|given| given.to_str().is_ok_and(|given| value.fits(given)))
}

/// The name of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header(pub HeaderName);

impl PartialOrd for Header {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Header {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_str().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = text.parse().map_err(|_| de::Error::custom(format!("`{text}` is no name of a header")))?;
        Ok(Self(name))
    }
}

impl JsonSchema for Header {
    fn schema_name() -> Cow<'static, str> {
        "Header".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// A status of an answer, or several in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    fn holds(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl FromStr for StatusRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..600).contains(status));
        let range = match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(class), _) => class
                .parse::<u16>()
                .ok()
                .filter(|class| (1..6).contains(class))
                .map(|class| (class * 100, class * 100 + 99)),
            (None, Some((first, last))) => {
                number(first).zip(number(last)).filter(|(first, last)| first <= last)
            }
            (None, None) => number(text).map(|status| (status, status)),
        };
        let (first, last) =
            range.ok_or_else(|| format!("`{text}` is no status: give 100 to 599, \"5xx\" or \"500-504\""))?;
        Ok(Self { first, last })
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else if self.first.is_multiple_of(100) && self.last == self.first + 99 {
            write!(f, "{}xx", self.first / 100)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl JsonSchema for StatusRange {
    fn schema_name() -> Cow<'static, str> {
        "StatusRange".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 100,
            "maximum": 599,
            "pattern": "^[1-5]([0-9]{2}(-[1-5][0-9]{2})?|xx)$",
        })
    }
}

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
    pub fn value<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        match self {
            Self::Header(name) => headers.get(name).map(http::HeaderValue::as_bytes),
            Self::Cookie(name) => {
                let all = headers.get_all(http::header::COOKIE).iter();
                let pairs = all.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
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

/// One value or a list of them, as texts; a number is a text too.
fn several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = |value| match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(de::Error::custom("expected a value or a list of values")),
    };
    match Value::deserialize(deserializer)? {
        Value::Array(values) => values.into_iter().map(text).collect(),
        // As on the command line: `POST,PUT`.
        value => Ok(text(value)?.split(',').map(|part| part.trim().to_owned()).collect()),
    }
}

mod methods {
    use super::*;

    pub(super) fn serialize<S: Serializer>(methods: &[Method], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(methods.iter().map(Method::as_str))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Method>, D::Error> {
        let parse = |text: String| {
            Method::from_str(&text.to_ascii_uppercase())
                .map_err(|_| de::Error::custom(format!("`{text}` is no method")))
        };
        several(from)?.into_iter().map(parse).collect()
    }
}

mod statuses {
    use super::*;

    pub(super) fn serialize<S: Serializer>(ranges: &[StatusRange], serializer: S) -> Result<S::Ok, S::Error> {
        let value = |range: &StatusRange| match range {
            StatusRange { first, last } if first == last => Value::from(*first),
            range => Value::from(range.to_string()),
        };
        serializer.collect_seq(ranges.iter().map(value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<StatusRange>, D::Error> {
        several(from)?.into_iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
    }
}
