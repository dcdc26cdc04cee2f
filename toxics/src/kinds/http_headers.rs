use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::http::matching::Header;
use crate::http::values::{Headers, Side, listed};
use crate::http::{Answer, Cx, HttpToxic, Next, Request};

/// Removes, sets and adds headers of requests or answers, in this order.
///
/// Headers that frame a message or belong to one hop are refused, and so is a choice by
/// status for the request's side. What was changed stays so when the toxic is removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpHeaders {
    /// Whose headers.
    pub side: Side,
    /// Headers that get this value, whatever they had.
    pub set: Headers,
    /// Headers that get this value beside those they have.
    pub add: Headers,
    /// Names of headers that go.
    #[serde(deserialize_with = "listed")]
    #[schemars(with = "Vec<String>")]
    pub remove: Vec<Header>,
}

/// Of one hop (RFC 9110, section 7.6.1).
const HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl HttpToxic for HttpHeaders {
    const KIND: &'static str = "http_headers";
    const EXAMPLE: &'static [(&'static str, &'static str)] = &[("set.x-debug", "1")];

    fn validate(&self) -> Result<(), Invalid> {
        let named = |headers: &Headers| headers.0.keys().cloned().collect::<Vec<_>>();
        let fields = [("set", named(&self.set)), ("add", named(&self.add)), ("remove", self.remove.clone())];
        for (field, names) in fields {
            for Header(name) in names {
                let reason = match name.as_str() {
                    "content-length" | "transfer-encoding" => {
                        "frames the body, and a wrong one breaks the connection: http_truncate cuts bodies"
                    }
                    name if HOP.contains(&name) => {
                        "belongs to one connection, and Sabot speaks for both: it is never passed on"
                    }
                    _ => continue,
                };
                return Err(Invalid::new(field, format!("`{name}` {reason}")));
            }
        }
        Ok(())
    }

    fn acts_before_answer(&self) -> bool {
        self.side == Side::Request
    }

    fn passes_on(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, mut request: Request, next: Next) -> Answer {
        match self.side {
            Side::Request => {
                self.change(&cx, request.headers_mut());
                next.run(request).await
            }
            Side::Response => {
                let mut response = next.run(request).await?;
                self.change(&cx, response.headers_mut());
                Ok(response)
            }
        }
    }
}

impl HttpHeaders {
    fn change(&self, cx: &Cx, headers: &mut HeaderMap) {
        let before = headers.clone();
        if self.remove.iter().any(|name| headers.contains_key(&name.0)) {
            *headers = self.kept(std::mem::take(headers));
        }
        self.set.set(headers);
        for (name, value) in &self.add.0 {
            headers.append(name.0.clone(), value.0.clone());
        }
        if *headers != before {
            cx.acted();
        }
    }

    /// Not removed one by one: `HeaderMap::remove` puts the last header in the gap, and
    /// their order is not ours to change.
    fn kept(&self, all: HeaderMap) -> HeaderMap {
        let mut kept = HeaderMap::with_capacity(all.keys_len());
        let mut last: Option<HeaderName> = None;
        for (name, value) in all {
            last = name.or(last);
            if let Some(name) = last.as_ref().filter(|name| !self.remove.iter().any(|gone| gone.0 == *name)) {
                kept.append(name, value);
            }
        }
        kept
    }
}
