use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::header::{AGE, HOST, RANGE};
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Time;
use crate::http::{Answer, Body, Cx, Dialled, GoAway, HttpToxic, Next, Request, Response};

/// Answers GET and HEAD with an older answer of the same URL, as a stale cache does.
///
/// Of the requests that the toxic takes, the first of each URL goes up and its answer is
/// remembered; those that follow get that one again, and the upstream sees nothing of
/// them. HEAD gets the head of what GET got, if it was not asked before. Remembered are answers of status 200 whose body has at most 64 KiB, of 1000 URLs;
/// beyond that the oldest are forgotten. Requests for a range and with other methods pass.
/// Whoever asks gets the same answer: cookies and `vary` are not looked at. All is
/// forgotten when the toxic is removed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpStale {
    /// Whether an `age` header says how old the answer is (s), as an honest cache does.
    pub age: bool,
}

impl Default for HttpStale {
    fn default() -> Self {
        Self { age: true }
    }
}

/// Of a body that is remembered; with `URLS`, 64 MiB for a toxic.
const LIMIT: usize = 64 * 1024;
const URLS: usize = 1000;

/// Method, host and target of a request.
type Key = (Method, Option<HeaderValue>, String);

/// An answer as it was.
#[derive(Clone)]
struct Old {
    headers: HeaderMap,
    /// What else belongs to the message: how its names were written, its reason.
    extensions: Extensions,
    body: Bytes,
    came: Time,
}

#[derive(Default)]
struct Memory(Mutex<Answers>);

#[derive(Default)]
struct Answers {
    by_key: BTreeMap<Key, Old>,
    /// From the oldest on.
    keys: VecDeque<Key>,
}

impl Answers {
    /// What answers a request with that key. A GET's answer does for HEAD (RFC 9110,
    /// section 9.3.1).
    fn find(&self, key: &Key) -> Option<Old> {
        let (method, host, target) = key;
        let instead = || {
            let head = *method == Method::HEAD;
            head.then(|| self.by_key.get(&(Method::GET, host.clone(), target.clone()))).flatten()
        };
        self.by_key.get(key).or_else(instead).cloned()
    }

    /// The first answer stays: it is the one that gets older.
    fn keep(&mut self, key: Key, old: Old) {
        if self.by_key.contains_key(&key) {
            return;
        }
        if self.keys.len() >= URLS
            && let Some(oldest) = self.keys.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.keys.push_back(key.clone());
        self.by_key.insert(key, old);
    }
}

impl HttpToxic for HttpStale {
    const KIND: &'static str = "http_stale";

    fn acts_before_answer(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let asks = matches!(*request.method(), Method::GET | Method::HEAD);
        if !asks || request.headers().contains_key(RANGE) {
            return next.run(request).await;
        }
        let host = request.headers().get(HOST).cloned();
        let key = (request.method().clone(), host, request.uri().to_string());
        if let Some(old) = with(&cx, |answers| answers.find(&key)).flatten() {
            cx.acted();
            return Ok(self.again(old, *request.method() == Method::HEAD, cx.now()));
        }
        let response = next.run(request).await?;
        if response.status() != StatusCode::OK {
            return Ok(response);
        }
        Ok(remember(cx, key, response))
    }
}

impl HttpStale {
    fn again(&self, old: Old, to_head: bool, now: Time) -> Response {
        let mut response = Response::new(if to_head { Body::empty() } else { Body::full(old.body) });
        *response.headers_mut() = old.headers;
        *response.extensions_mut() = old.extensions;
        if self.age {
            // It may have been old when it came (RFC 9111, section 5.1).
            let told =
                response.headers().get(AGE).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
            let age = told.unwrap_or(0).saturating_add(now.saturating_since(old.came).as_secs());
            response.headers_mut().insert(AGE, HeaderValue::from(age));
        }
        response
    }
}

fn with<R>(cx: &Cx, act: impl FnOnce(&mut Answers) -> R) -> Option<R> {
    let memory = cx.shared::<Memory>()?;
    // Valid whatever a panicking thread did to it: at worst an answer is missing.
    Some(act(&mut memory.0.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// The same answer, remembered when the last of its body has passed.
fn remember(cx: Cx, key: Key, response: Response) -> Response {
    let (head, body) = response.into_parts();
    let mut extensions = head.extensions.clone();
    // These are of the connection on which it came.
    extensions.remove::<Dialled>();
    extensions.remove::<GoAway>();
    let old = Old { headers: head.headers.clone(), extensions, body: Bytes::new(), came: cx.now() };
    let pen = Pen { cx, key, old, data: BytesMut::new() };
    let body = if body.is_end_stream() {
        pen.done();
        body
    } else if body.size_hint().lower() > LIMIT as u64 {
        body
    } else {
        pen.along(body)
    };
    Response::from_parts(head, body)
}

/// Writes down what passes.
struct Pen {
    cx: Cx,
    key: Key,
    old: Old,
    data: BytesMut,
}

impl Pen {
    fn along(self, body: Body) -> Body {
        body.through(
            |body| (Some(self), body),
            |(mut pen, mut body)| async move {
                let frame = body.next().await;
                match &frame {
                    Some(Ok(frame)) => {
                        pen = match frame.data_ref() {
                            Some(data) => pen.and_then(|pen| pen.write(data)),
                            // Trailers are not kept, so nothing is.
                            None => None,
                        };
                    }
                    Some(Err(_)) => pen = None,
                    None => {}
                }
                // Nobody may ask for the end of a body whose length is known.
                if (frame.is_none() || body.is_end_stream())
                    && let Some(pen) = pen.take()
                {
                    pen.done();
                }
                Some((frame?, (pen, body)))
            },
        )
    }

    fn write(mut self, data: &Bytes) -> Option<Self> {
        self.data.extend_from_slice(data);
        (self.data.len() <= LIMIT).then_some(self)
    }

    fn done(self) {
        let Self { cx, key, old, data } = self;
        with(&cx, |answers| answers.keep(key, Old { body: data.freeze(), ..old }));
    }
}
