//! A request as it is sent, and sent elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::fetch::{Answer, Fetch, Unanswered, exchange, http_url};

/// A request as it is sent.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<String>,
    pub(super) limit: Duration,
    pub(super) verify_tls: bool,
}

impl Request {
    /// Sends it, again for as often as nobody could be connected to.
    pub(super) async fn send(&self, retries: u64) -> Result<Answer, String> {
        let body = self.body.clone().map(Value::String);
        let fetch = Fetch {
            method: &self.method,
            url: &self.url,
            headers: &self.headers,
            body: body.as_ref(),
            limit: self.limit,
        };
        let mut left = retries;
        loop {
            match exchange(&fetch, self.verify_tls).await {
                Ok(answer) => return Ok(answer),
                Err(Unanswered::Connect(_)) if left > 0 => left -= 1,
                Err(Unanswered::Connect(reason) | Unanswered::Broken(reason)) => {
                    return Err(format!("failed to connect to {}: {reason}", self.url));
                }
                Err(Unanswered::Late(_)) => return Err("activity took too long to complete".to_owned()),
                Err(Unanswered::NoRequest(reason)) => return Err(reason),
            }
        }
    }

    /// Becomes the request that an answer sends elsewhere, by the rules of `requests`.
    pub(super) fn redirect(&mut self, status: u16, location: &str) -> Result<(), String> {
        let from: http::Uri = self.url.parse().map_err(|error| format!("{}: {error}", self.url))?;
        let url = join(&from, location);
        let to: http::Uri = url.parse().map_err(|error| format!("it was redirected to {url}: {error}"))?;
        http_url("url", &url).map_err(|error| error.message)?;
        if from.authority() != to.authority() {
            self.headers.retain(|name, _| !name.eq_ignore_ascii_case("authorization"));
        }
        let becomes_get = match status {
            302 | 303 => self.method != "HEAD",
            301 => self.method == "POST",
            _ => false,
        };
        if becomes_get {
            self.method = "GET".to_owned();
        }
        if !matches!(status, 307 | 308) {
            self.body = None;
            self.headers.retain(|name, _| !name.eq_ignore_ascii_case("content-type"));
        }
        self.url = url;
        Ok(())
    }
}

/// A reference, seen from a URL.
fn join(from: &http::Uri, to: &str) -> String {
    let to = to.split('#').next().unwrap_or_default();
    let scheme = from.scheme_str().unwrap_or("http");
    let authority = from.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    if to.contains("://") {
        return to.to_owned();
    }
    if let Some(rest) = to.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    if to.starts_with('/') {
        return format!("{scheme}://{authority}{to}");
    }
    let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{scheme}://{authority}{folder}/{to}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_change_the_method_and_forget_who_asked() {
        for (status, location, method, url, body, authorized) in [
            (301, "z", "GET", "http://a/x/z", None, true),
            (303, "/z", "GET", "http://a/z", None, true),
            (307, "//b/z", "POST", "http://b/z", Some("b"), false),
            (308, "https://a/", "POST", "https://a/", Some("b"), true),
        ] {
            let mut request = Request {
                method: "POST".to_owned(),
                url: "http://a/x/y".to_owned(),
                headers: BTreeMap::from([("Authorization".to_owned(), "secret".to_owned())]),
                body: Some("b".to_owned()),
                limit: Duration::from_secs(1),
                verify_tls: true,
            };
            request.redirect(status, location).unwrap();
            assert_eq!((request.method.as_str(), request.url.as_str()), (method, url), "{status}");
            assert_eq!(request.body.as_deref(), body);
            assert_eq!(request.headers.contains_key("Authorization"), authorized);
        }
    }
}
