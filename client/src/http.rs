//! One call over HTTP/1.1: limits, and errors that say what happened.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Trust, tokens};

/// The API never waits for the data plane, so five seconds mean it is gone.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Names who asks.
const ACTOR: &str = "x-sabot-actor";

/// Room for some 50,000 connections in a listing; more is not worth the memory.
const MAX_ANSWER: usize = 32 << 20;

#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// Scheme and authority, without a slash at the end.
    base: String,
    /// How it shows who asks.
    token: Option<HeaderValue>,
    /// Who says to ask.
    actor: Option<HeaderValue>,
    timeout: Duration,
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Http {
    pub(crate) fn new(url: &str, trust: &Trust) -> Result<Self, Error> {
        let (url, token) = without_token(url);
        let base = base(&url).map_err(|reason| Error::Url { url, reason })?;
        let token = token.map(|token| tokens::header(&token)).transpose()?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        // Reading the system's roots takes longer than a call.
        let tls = if base.starts_with("https:") { trust.config() } else { Trust::none() }?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let pool = Pool::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self { base, token, actor: None, timeout: DEFAULT_TIMEOUT, pool })
    }

    pub(crate) fn set_timeout(&mut self, limit: Duration) {
        self.timeout = limit;
    }

    pub(crate) fn set_token(&mut self, token: &str) -> Result<(), Error> {
        self.token = Some(tokens::header(token)?);
        Ok(())
    }

    pub(crate) fn token(&self) -> Option<String> {
        let header = self.token.as_ref()?.to_str().ok()?;
        header.strip_prefix("Bearer ").map(str::to_owned)
    }

    pub(crate) fn set_actor(&mut self, who: &str) {
        self.actor = HeaderValue::from_str(who).ok();
    }

    pub(crate) fn url(&self) -> &str {
        &self.base
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        json(&Method::GET, path, &self.call(Method::GET, path, None).await?)
    }

    pub(crate) async fn send<B, T>(&self, method: Method, path: &str, body: &B) -> Result<T, Error>
    where
        B: Serialize + ?Sized,
        T: DeserializeOwned,
    {
        let body = serde_json::to_vec(body).map_err(Error::Request)?;
        json(&method.clone(), path, &self.call(method, path, Some(body)).await?)
    }

    /// A call that says all by its path.
    pub(crate) async fn answered<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Error> {
        json(&method.clone(), path, &self.call(method, path, None).await?)
    }

    /// A call whose answer holds nothing.
    pub(crate) async fn empty(&self, method: Method, path: &str) -> Result<(), Error> {
        self.call(method, path, None).await.map(drop)
    }

    pub(crate) async fn text(&self, path: &str) -> Result<String, Error> {
        let body = self.call(Method::GET, path, None).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// A call whose body goes on for as long as it likes; only its head is timed.
    pub(crate) async fn stream(&self, path: &str) -> Result<Incoming, Error> {
        let limit = self.timeout;
        let head = self.head(Method::GET, path, None);
        let response = match tokio::time::timeout(limit, head).await {
            Ok(response) => response?,
            Err(_) => return Err(timed_out(&Method::GET, path, limit)),
        };
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let read = read(&Method::GET, path, response);
        match tokio::time::timeout(limit, read).await {
            Ok(Err(error)) => Err(error),
            _ => Err(timed_out(&Method::GET, path, limit)),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Bytes, Error> {
        let whole = async {
            let response = self.head(method.clone(), path, body).await?;
            read(&method, path, response).await
        };
        match tokio::time::timeout(self.timeout, whole).await {
            Ok(answer) => answer,
            Err(_) => Err(timed_out(&method, path, self.timeout)),
        }
    }

    async fn head(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, Error> {
        // Each name is a segment of its own.
        if path.split('?').next().is_some_and(|path| path.ends_with('/') || path.contains("//")) {
            return Err(Error::Nameless { call: format!("{method} {path}") });
        }
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("{}{path}", self.base))
            .header(header::USER_AGENT, concat!("sabot-client/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        if let Some(actor) = &self.actor {
            request = request.header(ACTOR, actor);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|error| broken(&method, path, error.to_string()))?;
        self.pool.request(request).await.map_err(|error| {
            let reason = innermost(&error);
            if error.is_connect() && is_tls(&error) {
                Error::Untrusted { url: self.base.clone(), reason }
            } else if error.is_connect() {
                Error::Unreachable { url: self.base.clone(), reason }
            } else {
                broken(&method, path, reason)
            }
        })
    }
}

/// The bounded body of a success, or the error that the answer is.
async fn read(method: &Method, path: &str, response: Response<Incoming>) -> Result<Bytes, Error> {
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| broken(method, path, error.to_string()))?
        .to_bytes();
    if status.is_success() { Ok(body) } else { Err(refusal(method, path, status, &body)) }
}

fn refusal(method: &Method, path: &str, status: StatusCode, body: &[u8]) -> Error {
    #[derive(serde::Deserialize)]
    struct Refusal {
        error: String,
        #[serde(default)]
        field: Option<String>,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error, field }) => Error::Api { status: status.as_u16(), message: error, field },
        // A stranger on that port, or a Toxiproxy without /v1.
        Err(_) => broken(method, path, format!("{status}, which is not an answer of Sabot")),
    }
}

fn json<T: DeserializeOwned>(method: &Method, path: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body)
        .map_err(|error| broken(method, path, format!("the answer is not Sabot's: {error}")))
}

fn broken(method: &Method, path: &str, reason: String) -> Error {
    Error::Answer { call: format!("{method} {path}"), reason }
}

fn timed_out(method: &Method, path: &str, after: Duration) -> Error {
    Error::Timeout { call: format!("{method} {path}"), after }
}

/// The cause that names the fact ("Connection refused"), not the layers above.
fn innermost(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

/// Whether a connection failed because of TLS.
fn is_tls(error: &hyper_util::client::legacy::Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        if inner.is::<rustls::Error>() {
            return true;
        }
        // An I/O error hides what it was made of from `source`.
        let made_of = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        source = match made_of {
            Some(inner) => Some(inner),
            None => inner.source(),
        };
    }
    false
}

/// The URL of an API without the user's name and the password that stand before the host's name, and that
/// password, which is shown as a token: `http://sabot:TOKEN@host:1`.
#[must_use]
pub fn without_token(url: &str) -> (String, Option<String>) {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some(at) = rest[..end].rfind('@') else { return (url.to_owned(), None) };
    let token = rest[..at].split_once(':').map(|(_, password)| password.to_owned());
    let separator = if scheme.is_empty() { "" } else { "://" };
    (format!("{scheme}{separator}{}", &rest[at + 1..]), token.filter(|token| !token.is_empty()))
}

fn base(url: &str) -> Result<String, String> {
    let url = url.trim().trim_end_matches('/');
    let whole = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: Uri = whole.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err("only http:// and https:// are spoken".to_owned()),
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err("it must end after the port".to_owned());
    }
    uri.authority().filter(|authority| !authority.host().is_empty()).ok_or("it names no host")?;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::{base, without_token};

    #[test]
    fn urls_are_completed_or_refused() {
        assert_eq!(base("localhost:8474").unwrap(), "http://localhost:8474");
        assert_eq!(base("http://[::1]:8474/").unwrap(), "http://[::1]:8474");
        assert_eq!(base("https://x:1/").unwrap(), "https://x:1");
        assert!(base("ftp://x:1").unwrap_err().contains("only http://"));
        assert!(base("http://x/v1").unwrap_err().contains("after the port"));
        assert!(base("").is_err());
    }

    #[test]
    fn a_token_in_a_url_is_taken_out_of_it() {
        for (url, bare, token) in [
            ("http://sabot:sabot_x@host:1", "http://host:1", Some("sabot_x")),
            ("sabot:sabot_x@host:1/", "host:1/", Some("sabot_x")),
            ("https://:sabot_x@[::1]:1", "https://[::1]:1", Some("sabot_x")),
            ("http://sabot@host:1", "http://host:1", None),
            ("http://host:1", "http://host:1", None),
            ("http://host:1/a@b", "http://host:1/a@b", None),
        ] {
            assert_eq!(without_token(url), (bare.to_owned(), token.map(str::to_owned)), "{url}");
        }
    }
}
