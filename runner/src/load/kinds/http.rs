//! Requests of HTTP/1.1 and HTTP/2.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ::http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use ::http::uri::PathAndQuery;
use ::http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use bytes::Bytes;
use http_body_util::Full;
use sabot_toxics::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Kind;
use crate::load::code::Code;
use crate::load::engine::call::{Answer, Call, Sent};
use crate::load::engine::dial::NoConnection;
use crate::load::engine::http::{HttpConnection, HttpTarget};
use crate::load::engine::lane::AnyCall;
use crate::load::plan::{Class, Http2};
use crate::load::ready::Compile;
use crate::load::template::{Escape, Template, Values};
use crate::outcome::Fate;

/// A request of HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// Path and query; a template.
    pub path: String,
    /// Headers beside the plan's; templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Text, or an object that is sent as JSON; a template. In an object, text that is one number of a
    /// template (`"{{int 1 9}}"`) becomes a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Statuses that are as expected: `201`, or a range such as `200-399`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Statuses>,
}

/// A status, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Statuses {
    /// This one.
    One(u16),
    /// From one to another, both included: `200-399`.
    Range(String),
}

fn get() -> String {
    "GET".to_owned()
}

impl Kind for Http {
    const NAME: &'static str = "http";

    fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn class(&self) -> Class {
        if ["GET", "HEAD", "OPTIONS"].contains(&self.method.as_str()) { Class::Read } else { Class::Write }
    }

    fn compile(&self, cx: &Compile<'_>) -> Result<Arc<dyn AnyCall>, Invalid> {
        Ok(Arc::new(HttpCall::new(self, cx)?))
    }
}

impl Http {
    /// GET of the target's own path, with this query.
    pub(crate) fn get(query: String) -> Self {
        Self { method: get(), path: query, headers: BTreeMap::new(), body: None, expect: Vec::new() }
    }
}

/// An endpoint's requests of HTTP.
#[derive(Debug)]
pub(crate) struct HttpCall {
    label: String,
    target: HttpTarget,
    method: Method,
    path: Template,
    /// Headers that never change, `host` among them.
    constant: HeaderMap,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Template>,
    expect: Vec<RangeInclusive<u16>>,
}

impl HttpCall {
    pub(crate) fn new(spec: &Http, cx: &Compile<'_>) -> Result<Self, Invalid> {
        let target = cx.target(&["http", "https"])?;
        let alpn: &[&[u8]] = match cx.plan.http2 {
            Http2::Auto => &[b"h2", b"http/1.1"],
            Http2::Always => &[b"h2"],
            Http2::Never => &[b"http/1.1"],
        };
        let tls = cx.tls(&target, alpn);
        let method = Method::from_bytes(spec.method.as_bytes())
            .map_err(|_| Invalid::new("method", "is no method of HTTP, such as GET or POST"))?;
        let mut scope = cx.scope();
        let path = scope.read("path", &spec.path, Escape::Path)?;
        let mut constant = HeaderMap::new();
        let mut headers = Vec::new();
        for (field, name, text) in named("headers", &cx.plan.headers, &spec.headers) {
            let template = scope.read(&field, text, Escape::None)?;
            let refuse =
                |what: &str| Invalid::new(field.clone(), format!("is no {what} of a header of HTTP"));
            let name: HeaderName = name.parse().map_err(|_| refuse("name"))?;
            match template.constant() {
                Some(text) => drop(constant.insert(name, text.parse().map_err(|_| refuse("value"))?)),
                None => headers.push((name, template)),
            }
        }
        let body = spec.body.as_ref().map(|body| scope.body("body", body)).transpose()?;
        let has =
            |name: &HeaderName| constant.contains_key(name) || headers.iter().any(|(other, _)| other == name);
        let json = spec.body.as_ref().is_some_and(|body| !body.is_string());
        let authority = target.authority.parse().map_err(|_| Invalid::new("target", "names no host"))?;
        let mut defaults = vec![(HOST, authority), (USER_AGENT, HeaderValue::from_static("sabot-load"))];
        if json {
            defaults.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        defaults.retain(|(name, _)| !has(name));
        constant.extend(defaults.into_iter().map(|(name, value)| (Some(name), value)));
        let expect = if spec.expect.is_empty() {
            vec![200..=399]
        } else {
            let read = |(at, statuses): (usize, &Statuses)| statuses.range(&format!("expect[{at}]"));
            spec.expect.iter().enumerate().map(read).collect::<Result<_, _>>()?
        };
        let target = HttpTarget { target, tls, http2: cx.plan.http2 };
        let call = Self { label: spec.label(), target, method, path, constant, headers, body, expect };
        // What the first request shows wrong would be wrong with all.
        let first = Values { number: 0, tenant: "tenant", captured: Some(&BTreeMap::new()) };
        call.request(&first, false).map_err(|error| Invalid::new(error, "gives what HTTP cannot carry"))?;
        Ok(call)
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn target(&self) -> &HttpTarget {
        &self.target
    }

    /// The request; in full form for HTTP/2.
    ///
    /// # Errors
    /// The field whose text gives what HTTP cannot carry.
    fn request(&self, values: &Values<'_>, full: bool) -> Result<Request<Full<Bytes>>, &'static str> {
        let mut path = self.target.target.path.clone();
        self.path.render(values, &mut path);
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        let path = PathAndQuery::try_from(path).map_err(|_| "path")?;
        let mut headers = self.constant.clone();
        for (name, template) in &self.headers {
            headers.insert(name.clone(), template.text(values).parse().map_err(|_| "headers")?);
        }
        let body = self.body.as_ref().map(|body| Bytes::from(body.text(values))).unwrap_or_default();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = if full {
            let host = headers.remove(HOST).ok_or("headers")?;
            let scheme = if self.target.tls.is_some() { "https" } else { "http" };
            let authority = host.to_str().map_err(|_| "headers")?;
            Uri::builder()
                .scheme(scheme)
                .authority(authority)
                .path_and_query(path)
                .build()
                .map_err(|_| "path")?
        } else {
            Uri::from(path)
        };
        if full {
            *request.version_mut() = Version::HTTP_2;
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Sends a request and reads its whole answer; its status too, if there was one.
    pub(crate) async fn exchange(
        &self,
        connection: &HttpConnection,
        values: &Values<'_>,
        each: &mut dyn FnMut(&Bytes),
    ) -> (Answer, Option<StatusCode>) {
        let Ok(request) = self.request(values, connection.is_h2()) else {
            // The load's own fault: nothing was sent.
            let unsent = Answer {
                fate: Fate::Dropped,
                code: Some(Code::word("unsendable")),
                cause: None,
                keep: true,
                unsent: true,
            };
            return (unsent, None);
        };
        let mut response = match connection.send(request).await {
            Ok(response) => response,
            Err(broken) => return (broken.into(), None),
        };
        let status = response.status();
        if let Err(broken) = connection.read(response.body_mut(), each).await {
            return (broken.into(), Some(status));
        }
        let expected = self.expect.iter().any(|range| range.contains(&status.as_u16()));
        (Answer::told(expected, Code::Status(status.as_u16())), Some(status))
    }
}

impl Call for HttpCall {
    type Connection = HttpConnection;

    fn pool_key(&self) -> String {
        self.target.key()
    }

    fn multiplexed(&self) -> Option<bool> {
        self.target.multiplexed()
    }

    fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    fn connect(&self) -> impl Future<Output = Result<HttpConnection, NoConnection>> + 'static {
        self.target.clone().connect()
    }

    async fn send(&self, connection: &HttpConnection, values: &Values<'_>, _: &Sent) -> Answer {
        self.exchange(connection, values, &mut |_| ()).await.0
    }

    fn show(&self, values: &Values<'_>) -> Vec<u8> {
        let Ok(request) = self.request(values, false) else { return b"(unsendable)".to_vec() };
        let scheme = if self.target.tls.is_some() { "https" } else { "http" };
        let authority = &self.target.target.authority;
        let mut shown =
            format!("{} {scheme}://{authority}{}\n", request.method(), request.uri()).into_bytes();
        for (name, value) in request.headers().iter().filter(|(name, _)| *name != HOST) {
            shown.extend_from_slice(format!("{name}: ").as_bytes());
            shown.extend_from_slice(value.as_bytes());
            shown.push(b'\n');
        }
        if let Some(body) = &self.body {
            shown.push(b'\n');
            shown.extend_from_slice(body.text(values).as_bytes());
            shown.push(b'\n');
        }
        shown
    }
}

/// The plan's headers and an endpoint's own, which go before: field, name, text.
pub(super) fn named<'a>(
    field: &str,
    plan: &'a BTreeMap<String, String>,
    own: &'a BTreeMap<String, String>,
) -> Vec<(String, &'a str, &'a str)> {
    let is_own = |name: &str| own.keys().any(|other| other.eq_ignore_ascii_case(name));
    let common = plan.iter().filter(|(name, _)| !is_own(name));
    common.chain(own).map(|(name, text)| (format!("{field}.{name}"), name.as_str(), text.as_str())).collect()
}

impl Statuses {
    fn range(&self, field: &str) -> Result<RangeInclusive<u16>, Invalid> {
        let range = match self {
            Self::One(status) => Some(*status..=*status),
            Self::Range(text) => {
                let (from, to) = text.split_once('-').unwrap_or((text, text));
                from.trim().parse().and_then(|from| Ok(from..=to.trim().parse()?)).ok()
            }
        };
        range
            .filter(|range| *range.start() >= 100 && *range.end() <= 999 && range.start() <= range.end())
            .ok_or_else(|| Invalid::new(field, "must be a status such as 201, or a range such as 200-399"))
    }
}
