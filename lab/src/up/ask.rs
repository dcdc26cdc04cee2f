//! Short questions to control addresses and to Sabot's API.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::error::LabError;

/// Nobody is asked who is far away.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 4 << 20;

/// Asks with JSON and is answered in JSON.
#[derive(Clone)]
pub(super) struct Ask(Client<HttpConnector, Full<Bytes>>);

impl Ask {
    pub(super) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build(HttpConnector::new()))
    }

    pub(super) async fn get(&self, url: &str) -> Result<Value, LabError> {
        self.ask(Method::GET, url, None).await
    }

    pub(super) async fn put(&self, url: &str, body: &Value) -> Result<Value, LabError> {
        self.ask(Method::PUT, url, Some(body)).await
    }

    async fn ask(&self, method: Method, url: &str, body: Option<&Value>) -> Result<Value, LabError> {
        let failed = |reason: String| LabError::Ask { url: url.to_owned(), reason };
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request =
            Request::builder().method(method).uri(url).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Full::new(body)).map_err(|error| failed(error.to_string()))?;
        let answer = async {
            let answer = self.0.request(request).await.map_err(|error| failed(error.to_string()))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            Ok::<_, LabError>((status, body.map_err(|error| failed(error.to_string()))?.to_bytes()))
        };
        let in_time = tokio::time::timeout(TIMEOUT, answer).await;
        let (status, body) = in_time.map_err(|_| failed("no answer in 5 s".to_owned()))??;
        let value: Value = serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))?;
        if status == StatusCode::OK {
            Ok(value)
        } else {
            let said = value.get("error").and_then(Value::as_str).unwrap_or("no reason was given");
            Err(failed(format!("{status}: {said}")))
        }
    }
}
