use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::http::matching::decoded;
use crate::http::values::listed;
use crate::http::{Answer, Cx, HttpToxic, Next, Request};

/// Sends requests up with another method, path or query.
///
/// The path is replaced by `path`, or loses `strip_prefix` and then gains `add_prefix`.
/// Toxics behind this one act on the changed request, but were picked by the one that
/// came. `match.status` is refused: the request has gone up by then. What has gone up
/// stays changed when the toxic is removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpRewrite {
    /// The method; empty leaves it.
    pub method: String,
    /// The whole path, as `/v2/charge`; empty leaves it.
    pub path: String,
    /// What the path loses at its front, in whole segments; a path without it is left alone.
    pub strip_prefix: String,
    /// What the path gains at its front.
    pub add_prefix: String,
    /// Parameters of the query that get this value, whatever they had.
    pub set_query: BTreeMap<String, String>,
    /// Names of parameters of the query that go.
    #[serde(deserialize_with = "listed")]
    pub remove_query: Vec<String>,
}

/// All but what RFC 3986, section 2.3 leaves unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl HttpToxic for HttpRewrite {
    const KIND: &'static str = "http_rewrite";
    const EXAMPLE: &'static [(&'static str, &'static str)] = &[("add_prefix", "/v2")];

    fn validate(&self) -> Result<(), Invalid> {
        if !self.method.is_empty() {
            match self.method() {
                None => return Err(Invalid::new("method", format!("`{}` is no method", self.method))),
                Some(Method::CONNECT) => {
                    return Err(Invalid::new("method", "CONNECT asks for a tunnel: give another"));
                }
                Some(_) => {}
            }
        }
        let paths =
            [("path", &self.path), ("strip_prefix", &self.strip_prefix), ("add_prefix", &self.add_prefix)];
        for (field, path) in paths.into_iter().filter(|(_, path)| !path.is_empty()) {
            let plain = path.starts_with('/') && !path.contains(['?', '#']);
            if !plain || PathAndQuery::try_from(path.as_str()).is_err() {
                let message = "must be a path: begin with `/`, escape what is not ASCII, hold no query";
                return Err(Invalid::new(field, message));
            }
        }
        let parts = !self.strip_prefix.is_empty() || !self.add_prefix.is_empty();
        if !self.path.is_empty() && parts {
            return Err(Invalid::new("path", "is the whole path: leave out strip_prefix and add_prefix"));
        }
        Ok(())
    }

    fn acts_before_answer(&self) -> bool {
        true
    }

    fn passes_on(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, mut request: Request, next: Next) -> Answer {
        let asked = request.method().clone();
        let uri = self.rewritten(request.uri());
        if let Some(method) = self.method() {
            *request.method_mut() = method;
        }
        let sent = request.method().clone();
        if sent != asked || uri != *request.uri() {
            cx.acted();
        }
        *request.uri_mut() = uri;
        let mut response = next.run(request).await?;
        if sent == Method::HEAD && asked != Method::HEAD {
            // It announces a body that does not come; the client waits for one.
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
        }
        Ok(response)
    }
}

impl HttpRewrite {
    /// In capitals, as methods are.
    fn method(&self) -> Option<Method> {
        let name = Some(self.method.to_ascii_uppercase()).filter(|name| !name.is_empty())?;
        Method::from_bytes(name.as_bytes()).ok()
    }

    fn rewritten(&self, uri: &Uri) -> Uri {
        let mut text = self.rewritten_path(uri.path());
        if let Some(query) = self.rewritten_query(uri.query()) {
            text = format!("{text}?{query}");
        }
        let mut parts = uri.clone().into_parts();
        // `*`, as OPTIONS may ask for, has no prefix; what cannot be put together is left alone.
        let Ok(path) = PathAndQuery::try_from(text) else { return uri.clone() };
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
    }

    fn rewritten_path(&self, path: &str) -> String {
        if !self.path.is_empty() {
            return self.path.clone();
        }
        if !path.starts_with('/') {
            return path.to_owned();
        }
        let prefix = self.strip_prefix.trim_end_matches('/');
        let rest = path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let Some(rest) = rest else { return path.to_owned() };
        let text = format!("{}{rest}", self.add_prefix.trim_end_matches('/'));
        if text.is_empty() { "/".to_owned() } else { text }
    }

    /// The query with the order of what stays.
    fn rewritten_query(&self, query: Option<&str>) -> Option<String> {
        if self.set_query.is_empty() && self.remove_query.is_empty() {
            return query.map(str::to_owned);
        }
        let stays = |pair: &&str| {
            let name = decoded(pair.split_once('=').map_or(*pair, |(name, _)| name));
            !pair.is_empty()
                && !self.set_query.contains_key(name.as_ref())
                && !self.remove_query.contains(&name.as_ref().to_owned())
        };
        let kept = query.unwrap_or_default().split('&').filter(stays).map(str::to_owned);
        let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let set = self.set_query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
        let all = kept.chain(set).collect::<Vec<_>>().join("&");
        Some(all).filter(|all| !all.is_empty())
    }
}
