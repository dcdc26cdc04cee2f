use std::sync::Arc;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer};
use serde::{Deserialize as Read, Serialize};
use serde_json::Value;

use crate::Invalid;
use crate::http::values::Headers;
use crate::http::{Answer, Cx, HttpToxic, Next, Request};

/// Sets headers of answers or requests, as Litmus' fork of Toxiproxy does.
///
/// A header that is there already gets the new value. `http_headers` can add and remove
/// them too.
#[derive(Clone, Debug, Default, Serialize, Read, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HeaderToxic {
    /// Whose headers.
    pub mode: Mode,
    /// The headers by name: an object, or its JSON in a string.
    #[serde(deserialize_with = "object_or_text")]
    pub headers: Headers,
}

/// Whose headers are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Read, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Mode {
    /// Those of the answer.
    #[default]
    Response,
    /// Those of the request.
    Request,
}

impl HttpToxic for HeaderToxic {
    const KIND: &'static str = "header";
    const EXAMPLE: &'static [(&'static str, &'static str)] = &[("headers.x-debug", "1")];
    const CLASSIC: Option<&'static [&'static str]> = Some(&["mode", "headers"]);

    fn validate(&self) -> Result<(), Invalid> {
        for framing in [CONTENT_LENGTH, TRANSFER_ENCODING] {
            if self.headers.0.keys().any(|name| name.0 == framing) {
                let message = format!("`{framing}` belongs to the framing, which stays right: leave it out");
                return Err(Invalid::new("headers", message));
            }
        }
        Ok(())
    }

    fn acts_before_answer(&self) -> bool {
        self.mode == Mode::Request
    }

    fn passes_on(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, mut request: Request, next: Next) -> Answer {
        let any = !self.headers.0.is_empty();
        if any && self.mode == Mode::Request {
            cx.acted();
            self.headers.set(request.headers_mut());
        }
        let mut response = next.run(request).await?;
        if any && self.mode == Mode::Response {
            cx.acted();
            self.headers.set(response.headers_mut());
        }
        Ok(response)
    }
}

/// Toxiproxy's command line can pass no objects, so a string may hold one.
fn object_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<Headers, D::Error> {
    let value = match Value::deserialize(from)? {
        Value::String(text) if text.is_empty() => return Ok(Headers::default()),
        Value::String(text) => serde_json::from_str(&text)
            .map_err(|error| de::Error::custom(format!("the string holds no object: {error}")))?,
        value => value,
    };
    serde_json::from_value(value).map_err(de::Error::custom)
}
