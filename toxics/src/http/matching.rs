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
use crate::Invalid;

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
    #[schemars(with = "BTreeMap<String, Pattern>", extend("x-names" = "header"))]
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

    /// Refuses texts that no request can have in that place.
    ///
    /// # Errors
    /// The first field that can never hold.
    pub fn validate(&self) -> Result<(), Invalid> {
        let refused = |field, pattern: &Option<Pattern>, problem: fn(&str, bool) -> Option<String>| {
            let (text, whole) = pattern.as_ref()?.literal()?;
            problem(text, whole).map(|message| Invalid::new(field, message))
        };
        let refusal = refused("path", &self.path, no_path).or_else(|| refused("host", &self.host, no_host));
        refusal.map_or(Ok(()), Err)
    }

    /// Whether the request is one that is meant, as far as its head tells.
    #[must_use]
    pub fn request(&self, head: &impl Head) -> bool {
        (self.method.is_empty() || self.method.iter().any(|method| method == head.method()))
            && self.path.as_ref().is_none_or(|path| path.fits(head.path()))
            && self.host.as_ref().is_none_or(|host| host_of(head).is_some_and(|name| host.fits(&name)))
            && self.query.iter().all(|(name, value)| query(head, name).any(|given| value.fits(&given)))
            && self.headers.iter().all(|(name, value)| has_header(head, name, value))
            && self.grpc(head)
            && self.sticky.as_ref().is_none_or(|sticky| sticky.value(head).is_some())
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

    fn grpc(&self, head: &impl Head) -> bool {
        if self.grpc_service.is_none() && self.grpc_method.is_none() {
            return true;
        }
        let Some((service, method)) = head.path().trim_start_matches('/').rsplit_once('/') else {
            return false;
        };
        head.values("content-type").next().and_then(text).is_some_and(is_grpc_type)
            && self.grpc_service.as_ref().is_none_or(|pattern| pattern.fits(service))
            && self.grpc_method.as_ref().is_none_or(|pattern| pattern.fits(method))
    }
}

/// Why no path is, or begins with, that text.
fn no_path(text: &str, whole: bool) -> Option<String> {
    if text.contains(['?', '#']) {
        return Some(format!(
            "`{text}` holds more than a path: `match.query` compares parameters of the query"
        ));
    }
    // `OPTIONS *` asks for no path; every one begins with nothing.
    if text.starts_with('/') || text == "*" || (text.is_empty() && !whole) {
        return None;
    }
    Some(format!("`{text}` can never fit: paths begin with `/`, write `/{text}`"))
}

/// Why no host is, or begins with, that text.
fn no_host(text: &str, whole: bool) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (address, rest) = match lower.find(']') {
        Some(end) if lower.starts_with('[') => lower.split_at(end + 1),
        // Within brackets colons are of the address.
        None if lower.starts_with('[') => (lower.as_str(), ""),
        _ => ("", lower.as_str()),
    };
    if let Some((name, port)) = rest.split_once(':') {
        return Some(if port.contains(':') {
            format!("`{text}` can never fit: write an IPv6 address in brackets, `[{text}]`")
        } else {
            format!("`{text}` can never fit: the port is not compared, write `{address}{name}`")
        });
    }
    if lower != text {
        return Some(format!("`{text}` can never fit: hosts are compared in lower case, write `{lower}`"));
    }
    (text.is_empty() && whole).then(|| "is empty, which no host is: leave it out".to_owned())
}

/// Whether the message is one of gRPC, by its content type.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(is_grpc_type)
}

fn is_grpc_type(content_type: &str) -> bool {
    let rest = content_type.strip_prefix("application/grpc");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

fn host_of(head: &impl Head) -> Option<String> {
    let given = match head.authority() {
        Some(authority) => authority,
        None => head.values("host").next().and_then(text)?,
    };
    let authority = uri::Authority::from_str(given).ok()?;
    Some(authority.host().to_ascii_lowercase())
}

fn query<'a>(head: &'a impl Head, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    let pairs = head.query().unwrap_or_default().split('&');
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

fn has_header(head: &impl Head, name: &Header, value: &Pattern) -> bool {
    head.values(name.0.as_str()).filter_map(text).any(|given| value.fits(given))
}

/// The value of a header as text, if it is one: visible ASCII, spaces and tabs.
fn text(value: &[u8]) -> Option<&str> {
    let visible = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    visible.then(|| std::str::from_utf8(value).ok()).flatten()
}

/// The head of a request, whoever read it.
pub trait Head {
    /// The method.
    fn method(&self) -> &str;
    /// The path, without the query.
    fn path(&self) -> &str;
    /// The query, without its question mark.
    fn query(&self) -> Option<&str>;
    /// The host, perhaps with a port, if the target itself names one.
    fn authority(&self) -> Option<&str>;
    /// The values of the header of that name, which is in lower case; for `host` what the
    /// target names if there is no such header.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;
}

impl Head for request::Parts {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn path(&self) -> &str {
        self.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    fn authority(&self) -> Option<&str> {
        self.uri.authority().map(uri::Authority::as_str)
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        // Over HTTP/2 the target names the host.
        let asked = (name == "host" && !self.headers.contains_key(name)).then(|| self.authority()).flatten();
        let given = self.headers.get_all(name).into_iter().map(http::HeaderValue::as_bytes);
        given.chain(asked.map(str::as_bytes))
    }
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

/// Refuses a list with nothing in it, which would mean all.
fn filled<E: de::Error>(texts: Vec<String>) -> Result<Vec<String>, E> {
    if texts.is_empty() {
        return Err(E::custom("is an empty list: give one, or several, or leave it out for all"));
    }
    Ok(texts)
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
        filled(several(from)?)?.into_iter().map(parse).collect()
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
        filled(several(from)?)?.into_iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
    }
}
