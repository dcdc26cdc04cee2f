use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Add;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderName, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Deserialize as Read, Serialize, Serializer};

use super::http_abort::{refusal, retry_after};
use crate::http::values::Status;
use crate::http::{Answer, Cx, HttpToxic, Next, Request};
use crate::units::Millis;
use crate::{Invalid, Time};

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
        if limit.as_ref().is_none_or(|limit| limit.quota != quota) {
            *limit = Some(Limit::new(quota, cx.now()));
        }
        let limit = limit.as_ref()?;
        let now = limit.told.tell(cx.now());
        let until = limit.limiter.check_key(&self.key.of(cx, request)).err()?;
        Some(until.wait_time_from(now))
    }
}

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

/// A key is kept as its hash: however long it is, it takes as much memory.
type Hash = [u8; 32];

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

#[derive(Default)]
struct Shared(Mutex<Option<Limit>>);

/// Buckets of one quota. Asked under a lock, so that the time it was told is the
/// caller's.
struct Limit {
    quota: Quota,
    told: Told,
    limiter: RateLimiter<Hash, Buckets, Told, NoOpMiddleware<Moment>>,
}

impl Limit {
    fn new(quota: Quota, now: Time) -> Self {
        let told = Told(Arc::new(AtomicU64::new(now.as_nanos())));
        let limiter = RateLimiter::new(quota, Buckets::default(), told.clone());
        Self { quota, told, limiter }
    }
}

/// A clock for governor that knows what it is told.
#[derive(Clone)]
struct Told(Arc<AtomicU64>);

impl Told {
    fn tell(&self, now: Time) -> Moment {
        self.0.store(now.as_nanos(), Ordering::Relaxed);
        Moment(now.as_nanos())
    }
}

impl Clock for Told {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }
}

/// A [`Time`] as governor wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(u64);

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.as_u64()))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, span: Nanos) -> Self {
        Self(self.0.saturating_sub(span.as_u64()))
    }
}

/// Keys that are remembered: some 2 MB, and whoever invents keys cannot take more.
const MOST_KEYS: usize = 10_000;

/// The buckets, and in which order they were used.
#[derive(Default)]
struct Buckets(Mutex<Used>);

#[derive(Default)]
struct Used {
    buckets: HashMap<Hash, (u64, Nanos)>,
    order: BTreeMap<u64, Hash>,
    uses: u64,
}

impl StateStore for Buckets {
    type Key = Hash;

    fn measure_and_replace<T, F, E>(&self, key: &Hash, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = used.buckets.get(key).copied();
        let decided = f(before.map(|(_, state)| state));
        let state = decided.as_ref().ok().map(|(_, state)| *state);
        // Whoever is refused has used the key too.
        if let Some(state) = state.or(before.map(|(_, state)| state)) {
            used.remember(*key, state, before.map(|(use_, _)| use_));
        }
        decided.map(|(value, _)| value)
    }
}

impl Used {
    fn remember(&mut self, key: Hash, state: Nanos, last: Option<u64>) {
        if let Some(last) = last {
            self.order.remove(&last);
        } else if self.buckets.len() >= MOST_KEYS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.buckets.remove(&oldest);
        }
        self.uses += 1;
        self.order.insert(self.uses, key);
        self.buckets.insert(key, (self.uses, state));
    }
}
