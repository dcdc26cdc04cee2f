//! One request and its whole answer, for what is asked now and then: actions, probes, queries.
//!
//! Not for the load, which has a client of its own.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sabot_client::Trust;
use sabot_toxics::Invalid;
use serde_json::Value;

/// A query's answer or a page of metrics; larger ones are given up.
const MAX_ANSWER: usize = 16 << 20;

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// The method.
    pub method: &'a str,
    /// The whole URL, http or https.
    pub url: &'a str,
    /// Headers.
    pub headers: &'a BTreeMap<String, String>,
    /// Text, or anything else as JSON.
    pub body: Option<&'a Value>,
    /// For all of it, until the last byte of the answer.
    pub limit: Duration,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
    /// Its headers.
    pub headers: HeaderMap,
    /// How long it took.
    pub took: Duration,
}

/// Why there is no answer, each as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It is no request.
    NoRequest(String),
    /// Nobody could be connected to.
    Connect(String),
    /// The connection or the answer broke off.
    Broken(String),
    /// The time was up.
    Late(String),
}

impl Unanswered {
    fn reason(self) -> String {
        match self {
            Self::NoRequest(reason) | Self::Connect(reason) | Self::Broken(reason) | Self::Late(reason) => {
                reason
            }
        }
    }
}

impl Answer {
    /// Its body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends it. Cancel safe in that nothing is left behind; the request may have been carried out.
///
/// # Errors
/// No whole answer came in time; what kept it, as the end of a sentence.
pub async fn fetch(fetch: &Fetch<'_>) -> Result<Answer, String> {
    exchange(fetch, true).await.map_err(Unanswered::reason)
}

/// The same for who wants to know why, or believes any certificate.
///
/// # Errors
/// As [`fetch`].
pub async fn exchange(fetch: &Fetch<'_>, verify_tls: bool) -> Result<Answer, Unanswered> {
    let request = request(fetch).map_err(Unanswered::NoRequest)?;
    let client = client(verify_tls).map_err(Unanswered::Broken)?;
    let since = tokio::time::Instant::now();
    let whole = async {
        let response = client.request(request).await.map_err(|error| {
            let reason = chain(&error);
            if error.is_connect() { Unanswered::Connect(reason) } else { Unanswered::Broken(reason) }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| Unanswered::Broken(format!("its answer broke off: {error}")))?;
        let (status, body) = (head.status.as_u16(), body.to_bytes());
        Ok(Answer { status, body, headers: head.headers, took: since.elapsed() })
    };
    match tokio::time::timeout(fetch.limit, whole).await {
        Ok(answer) => answer,
        Err(_) => Err(Unanswered::Late(format!("no answer within {} s", fetch.limit.as_secs_f64()))),
    }
}

fn request(fetch: &Fetch<'_>) -> Result<Request<Full<Bytes>>, String> {
    let (body, json) = match fetch.body {
        None => (Bytes::new(), false),
        Some(Value::String(text)) => (Bytes::from(text.clone()), false),
        Some(value) => (Bytes::from(value.to_string()), true),
    };
    let mut builder = Request::builder().method(fetch.method).uri(fetch.url);
    if json {
        builder = builder.header(header::CONTENT_TYPE, "application/json");
    }
    for (name, value) in fetch.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(body)).map_err(|error| format!("it is no request: {error}"))
}

/// Refuses headers that no request can have.
///
/// # Errors
/// The field, below `field`, and what is wrong with it; not its value, which may be a secret.
pub fn unless_headers(field: &str, headers: &BTreeMap<String, String>) -> Result<(), Invalid> {
    for (name, value) in headers {
        let told = |message: &str| Err(Invalid::new(format!("{field}.{name}"), message));
        if HeaderName::try_from(name.as_str()).is_err() {
            return told("is no name of a header: give letters, digits and `-`");
        }
        if HeaderValue::try_from(value.as_str()).is_err() {
            return told("must be one line without control characters");
        }
    }
    Ok(())
}

type Pooled = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// One of each kind for the process: reading the system's roots takes longer than a request.
fn client(verify_tls: bool) -> Result<&'static Pooled, String> {
    static CLIENTS: [OnceLock<Pooled>; 2] = [OnceLock::new(), OnceLock::new()];
    let client = &CLIENTS[usize::from(verify_tls)];
    if let Some(client) = client.get() {
        return Ok(client);
    }
    let trust = Trust { insecure: !verify_tls, ..Trust::default() };
    let tls = trust.builder().map_err(|error| error.to_string())?.with_no_client_auth();
    Ok(client.get_or_init(|| pooled(tls)))
}

fn pooled(tls: rustls::ClientConfig) -> Pooled {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    // A kept connection belongs to the runtime that made it, which in tests is another each time.
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(0)
        .build(connector)
}

/// Refuses what is no URL of HTTP.
pub fn http_url(field: &str, url: &str) -> Result<(), Invalid> {
    let fine = url
        .parse::<http::Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some());
    if fine {
        return Ok(());
    }
    Err(Invalid::new(field, format!("`{url}` is no http:// or https:// URL")))
}

/// The error and what caused it, in one line: "client error (Connect)" alone tells nobody anything.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
