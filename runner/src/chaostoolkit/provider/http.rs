//! A request.
//!
//! It succeeds with whatever status it is answered by: that is for a tolerance to judge.

mod request;

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sabot_toxics::Invalid;
use serde_json::{Map, Value, json};

use super::Around;
use crate::chaostoolkit::check::{
    Object, given, optional_object, optional_text, seconds, switch, text, wrong,
};
use crate::chaostoolkit::scope::{Scope, to_text};
use crate::fetch::{Answer, http_url};
use request::Request;

/// The Chaos Toolkit waits for ever; what has not answered by then will not.
const LONGEST: Duration = Duration::from_secs(300);

/// As many as Python's `requests` follows.
const MOST_REDIRECTS: usize = 30;

const JSON: &str = "application/json";

/// What a form leaves as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A request.
#[derive(Clone, Debug)]
pub(in crate::chaostoolkit) struct Http {
    method: String,
    url: String,
    headers: Option<Value>,
    /// The query of a GET, else the body.
    pub(super) arguments: Value,
    timeout: Option<Value>,
    verify_tls: bool,
    max_retries: u64,
}

impl Http {
    pub(super) fn read(provider: &Object) -> Result<Self, Invalid> {
        let url = text(provider, "url")?;
        if !url.contains('$') {
            http_url("url", url)?;
        }
        let arguments = given(provider, "arguments").cloned().unwrap_or_default();
        if !matches!(arguments, Value::Null | Value::String(_) | Value::Object(_)) {
            return Err(wrong("arguments", "an object or text", &arguments));
        }
        let retries = given(provider, "max_retries").cloned().unwrap_or_else(|| json!(0));
        let max_retries = retries.as_u64().filter(|retries| *retries <= 100);
        Ok(Self {
            method: optional_text(provider, "method")?.unwrap_or("GET").to_uppercase(),
            url: url.to_owned(),
            headers: optional_object(provider, "headers")?.cloned().map(Value::Object),
            arguments,
            timeout: timeout(provider)?,
            verify_tls: switch(provider, "verify_tls", true)?,
            max_retries: max_retries
                .ok_or_else(|| wrong("max_retries", "a whole number from 0 to 100", &retries))?,
        })
    }

    pub(super) async fn run(&self, around: &Around) -> Result<Value, String> {
        let scope = around.scope();
        let mut request = self.request(&scope)?;
        let deadline = tokio::time::Instant::now() + request.limit;
        for _ in 0..=MOST_REDIRECTS {
            request.limit = deadline.saturating_duration_since(tokio::time::Instant::now());
            let answer = request.send(self.max_retries).await?;
            match location(&answer) {
                Some(location) => request.redirect(answer.status, &location)?,
                None => return output(&answer),
            }
        }
        Err(format!("it was redirected more than {MOST_REDIRECTS} times"))
    }

    fn request(&self, scope: &Scope) -> Result<Request, String> {
        let mut url = scope.text(&self.url);
        let headers = self.headers.as_ref().map(|headers| scope.fill(headers));
        let headers = headers.as_ref().and_then(Value::as_object).into_iter().flatten();
        let mut headers: BTreeMap<String, String> =
            headers.map(|(name, value)| (name.clone(), to_text(value))).collect();
        let arguments = scope.fill_arguments(&self.arguments);
        let mut body = None;
        match (&arguments, self.method.as_str()) {
            (Value::Null, _) => {}
            (arguments, "GET") => {
                let sign = if url.contains('?') { '&' } else { '?' };
                let query = arguments.as_object().map_or_else(|| to_text(arguments), form);
                if !query.is_empty() {
                    url = format!("{url}{sign}{query}");
                }
            }
            (arguments, _) if headers.get("Content-Type").is_some_and(|kind| kind == JSON) => {
                body = Some(arguments.to_string());
            }
            (Value::Object(fields), _) => {
                let kind = "application/x-www-form-urlencoded".to_owned();
                if !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
                    headers.insert("Content-Type".to_owned(), kind);
                }
                body = Some(form(fields));
            }
            (text, _) => body = Some(to_text(text)),
        }
        for (name, value) in [("accept", "*/*"), ("user-agent", concat!("sabot/", env!("CARGO_PKG_VERSION")))]
        {
            if !headers.keys().any(|given| given.eq_ignore_ascii_case(name)) {
                headers.insert(name.to_owned(), value.to_owned());
            }
        }
        http_url("url", &url).map_err(|error| error.message)?;
        let limit = self.limit(scope)?;
        let verify_tls = self.verify_tls;
        Ok(Request { method: self.method.clone(), url, headers, body, limit, verify_tls })
    }

    fn limit(&self, scope: &Scope) -> Result<Duration, String> {
        let seconds = match &self.timeout {
            None => return Ok(LONGEST),
            // To connect, and to be answered.
            Some(Value::Array(parts)) => {
                parts.iter().map(|part| scope.seconds(part)).sum::<Result<f64, String>>()?
            }
            Some(timeout) => scope.seconds(timeout)?,
        };
        Ok(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST))
    }
}

fn timeout(provider: &Object) -> Result<Option<Value>, Invalid> {
    match given(provider, "timeout") {
        Some(Value::Array(parts)) if parts.len() == 2 && parts.iter().all(Value::is_number) => {
            Ok(Some(Value::Array(parts.clone())))
        }
        _ => seconds(provider, "timeout"),
    }
}

/// Where an answer sends the request.
fn location(answer: &Answer) -> Option<String> {
    let redirects = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
    let location = answer.headers.get(http::header::LOCATION).filter(|_| redirects)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// Fields as a form writes them; a list stands for a field that is there again and again.
fn form(fields: &Map<String, Value>) -> String {
    let encode = |text: &str| utf8_percent_encode(text, FORM).to_string().replace("%20", "+");
    let mut pairs = Vec::new();
    for (name, value) in fields {
        let values = match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values.iter().filter(|value| !value.is_null()) {
            pairs.push(format!("{}={}", encode(name), encode(&to_text(value))));
        }
    }
    pairs.join("&")
}

fn output(answer: &Answer) -> Result<Value, String> {
    let kind = answer.headers.get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let body = if kind == Some(JSON.as_bytes()) {
        serde_json::from_slice(&answer.body).map_err(|error| format!("its answer is no JSON: {error}"))?
    } else {
        Value::String(answer.text())
    };
    Ok(json!({"status": answer.status, "headers": headers(&answer.headers), "body": body}))
}

/// Names as servers usually write them: how this one did is not known any more.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut all = Map::new();
    for name in headers.keys() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        all.insert(title_case(name.as_str()), Value::String(values.join(", ")));
    }
    all
}

fn title_case(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(provider: &Value) -> Request {
        let configuration = json!({"host": "here", "limit": 2});
        let configuration = configuration.as_object().cloned().unwrap();
        let scope = Scope { configuration, ..Scope::default() };
        Http::read(provider.as_object().unwrap()).unwrap().request(&scope).unwrap()
    }

    #[test]
    fn arguments_go_into_the_query_the_form_or_json() {
        let arguments = json!({"a": "x y", "b": [1, true], "c": null, "d": "${host}"});
        let get =
            request(&json!({"url": "http://${host}/p?q=1", "arguments": arguments, "timeout": "${limit}"}));
        assert_eq!(get.url, "http://here/p?q=1&a=x+y&b=1&b=True&d=here");
        assert_eq!((get.limit, get.body), (Duration::from_secs(2), None));
        let form = request(&json!({"url": "http://h/", "method": "post", "arguments": {"a": "é&"}}));
        assert_eq!((form.method.as_str(), form.body.as_deref()), ("POST", Some("a=%C3%A9%26")));
        assert_eq!(form.headers["Content-Type"], "application/x-www-form-urlencoded");
        let headers = json!({"Content-Type": "application/json"});
        let json =
            request(&json!({"url": "http://h/", "method": "PUT", "headers": headers, "arguments": {"a": 1}}));
        assert_eq!(json.body.as_deref(), Some(r#"{"a":1}"#));
        let text =
            request(&json!({"url": "http://h/", "method": "PUT", "arguments": "raw", "timeout": [1, 2.5]}));
        assert_eq!((text.body.as_deref(), text.limit), (Some("raw"), Duration::from_millis(3_500)));
    }

    #[test]
    fn what_is_no_request_is_refused_by_field() {
        for (provider, field) in [
            (json!({}), "url"),
            (json!({"url": "here"}), "url"),
            (json!({"url": "http://h", "headers": []}), "headers"),
            (json!({"url": "http://h", "arguments": [1]}), "arguments"),
            (json!({"url": "http://h", "timeout": -1}), "timeout"),
            (json!({"url": "http://h", "max_retries": 1000}), "max_retries"),
            (json!({"url": "http://h", "verify_tls": "no"}), "verify_tls"),
        ] {
            assert_eq!(Http::read(provider.as_object().unwrap()).unwrap_err().field, field);
        }
        assert_eq!(title_case("content-type"), "Content-Type");
    }
}
