//! Which requests a fault is meant for: one set of conditions for all kinds. The rooms:
//!
//! - `head`: the head of a request, whoever read it
//! - `header`, `status`, `sticky`: names of headers, ranges of statuses, what requests share
//! - `lists`: one value or several, as people write them

mod head;
mod header;
mod lists;
mod status;
mod sticky;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use http::{HeaderMap, Method, StatusCode, uri};
use schemars::JsonSchema;
use serde::Serialize;

use super::Pattern;
use crate::Invalid;
pub use head::Head;
use head::text;
pub use header::Header;
use lists::{methods, statuses};
pub use status::StatusRange;
pub use sticky::Sticky;

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
    // Left to itself the compiler inlines it or not by what else is in the program: 5 % of a match.
    #[inline(always)]
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
