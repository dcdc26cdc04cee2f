use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::Quota;
use http::{HeaderName, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Deserialize as Read, Serialize, Serializer};

use super::http_abort::{refusal, retry_after};
use crate::Invalid;
use crate::http::limit::{Hash, Limit};
use crate::http::values::Status;
use crate::http::{Answer, Cx, HttpToxic, Next, Request};
use crate::units::Millis;

/// Refuses requests above a rate, and says when to come again.
///
/// As a bucket of `burst` tokens of which `rate` come back evenly in each `per`; a
/// request that finds none is answered with `status` and `retry-after`, and does not go
/// up. With `key` each client, header value or path has a bucket of its own; the 10,000
/// that were used last are remembered. A change of the rate fills the buckets.
#[derive(Clone, Debug, Serialize, Read, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpRateLimit {
    /// Requests in each `per`.
    #[schemars(range(min = 1))]
    pub rate: u32,
    /// The span that `rate` is for.
    pub per: Millis,
    /// Requests that may come at once after a pause; 0 means as many as `rate`.
    #[schemars(range(min = 0))]
    pub burst: u32,
    /// What has a bucket of its own: `proxy` (all share one), `client` (its address),
    /// `path`, or `header:NAME` (requests without it share one).
    pub key: Key,
    /// The status of a refusal. gRPC calls get what their clients make of it.
    pub status: Status,
}

impl Default for HttpRateLimit {
    fn default() -> Self {
        Self {
            rate: 10,
            per: Millis::new(1000),
            burst: 0,
            key: Key::Proxy,
            status: Status(StatusCode::TOO_MANY_REQUESTS),
        }
    }
}

impl HttpToxic for HttpRateLimit {
    const KIND: &'static str = "http_rate_limit";

    fn validate(&self) -> Result<(), Invalid> {
        if self.rate == 0 {
            return Err(Invalid::new("rate", "must be at least 1; `http_abort` refuses all"));
        }
        if self.quota().is_none() {
            let message = format!("must be at least {} ns for so many requests", self.rate);
            return Err(Invalid::new("per", message));
        }
        Ok(())
    }

    fn acts_before_answer(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let Some(wait) = self.exceeded(&cx, &request) else { return next.run(request).await };
        cx.acted();
        let mut response = refusal(request.headers(), self.status.0, "too many requests");
        retry_after(&mut response, wait);
        Ok(response)
    }
}

impl HttpRateLimit {
    fn quota(&self) -> Option<Quota> {
        let rate = NonZeroU32::new(self.rate)?;
        let burst = NonZeroU32::new(self.burst).unwrap_or(rate);
        Some(Quota::with_period(self.per.get() / self.rate)?.allow_burst(burst))
    }

    /// How long until the request would be let through; `None` if it is now.
    fn exceeded(&self, cx: &Cx, request: &Request) -> Option<Duration> {
        let quota = self.quota()?;
        let Shared(limit) = cx.shared()?;
        let mut limit = limit.lock().unwrap_or_else(PoisonError::into_inner);
        if limit.as_ref().is_none_or(|limit| *limit.quota() != quota) {
            *limit = Some(Limit::new(quota, cx.now()));
        }
        limit.as_ref()?.exceeded(cx.now(), &self.key.of(cx, request))
    }
}

/// The buckets, kept between requests.
#[derive(Default)]
struct Shared(Mutex<Option<Limit>>);

/// What has a bucket of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The proxy: one bucket for all.
    Proxy,
    /// A client's address.
    Client,
    /// A path, without the query.
    Path,
    /// A header's value.
    Header(HeaderName),
}

impl Key {
    fn of(&self, cx: &Cx, request: &Request) -> Hash {
        let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
        match self {
            Self::Proxy => Hash::default(),
            Self::Client => cx.client().map(|client| hash(client.to_string().as_bytes())).unwrap_or_default(),
            Self::Path => hash(request.uri().path().as_bytes()),
            Self::Header(name) => {
                request.headers().get(name).map(|value| hash(value.as_bytes())).unwrap_or_default()
            }
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "proxy" => Ok(Self::Proxy),
            None if text == "client" => Ok(Self::Client),
            None if text == "path" => Ok(Self::Path),
            Some(("header", name)) => {
                name.parse().map(Self::Header).map_err(|_| format!("`{name}` is no name of a header"))
            }
            _ => Err(format!("`{text}` is no key: give `proxy`, `client`, `path` or `header:NAME`")),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy => f.write_str("proxy"),
            Self::Client => f.write_str("client"),
            Self::Path => f.write_str("path"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(proxy|client|path|header:.+)$"})
    }
}
