//! Requests that ask for their own faults by arbitrary headers, of a toxic with
//! arbitrary caps: no panic, no more than the caps allow, nothing of it for the upstream.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::HeaderValue;
use http::header::HOST;
use sabot_toxics::http::{Body, BoxFuture, Chain, Connection, Permit, Request, RequestKey, Response, Shell};
use sabot_toxics::{Direction, Entry, Plan, Seed, Time, ToxicSpec, kind};
use serde_json::Value;

use crate::head;

/// What the upstream answers.
const ANSWER: &[u8] = &[7; 5000];

/// Headers that ask for something.
const ASKING: [&str; 8] = [
    "x-envoy-fault-delay-request",
    "x-envoy-fault-delay-request-percentage",
    "x-envoy-fault-abort-request",
    "x-envoy-fault-abort-request-percentage",
    "x-envoy-fault-abort-grpc-request",
    "x-envoy-fault-abort-grpc-request-percentage",
    "x-envoy-fault-throughput-response",
    "x-envoy-fault-throughput-response-percentage",
];

/// Time that passes when it is waited for.
#[derive(Default)]
struct Virtual {
    now_ns: AtomicU64,
    acted: AtomicBool,
    connection: Connection,
}

impl Shell for Virtual {
    fn admit(&self) -> Option<Permit> {
        Some(Permit::unlimited())
    }

    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.now_ns.load(Ordering::Relaxed))
    }

    fn wait(&self, _: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()> {
        let Some(until) = until else { return Box::pin(std::future::pending()) };
        let waited = until.saturating_since(Time::ZERO).as_nanos();
        self.now_ns.fetch_max(u64::try_from(waited).unwrap_or(u64::MAX), Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }

    fn wait_or_update(&self, toxic: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()> {
        self.wait(toxic, until)
    }

    fn current(&self, toxic: &Arc<Entry>) -> Option<Arc<Entry>> {
        Some(Arc::clone(toxic))
    }

    fn acted(&self, _: &Arc<Entry>) {
        self.acted.store(true, Ordering::Relaxed);
    }
}

/// One input: the toxic's attributes as JSON up to the first zero byte, then a head.
pub fn run(data: &[u8]) {
    let (json, rest) = head::split(data);
    let Some((parts, _)) = head::read(rest) else { return };
    let attributes = match serde_json::from_slice(json) {
        Ok(Value::Object(attributes)) => attributes,
        _ => return,
    };
    let kind = kind("envoy_fault").expect("a kind that is there");
    let Ok(spec) = ToxicSpec::new(kind, Direction::Downstream, &attributes) else { return };
    let caps = spec.attributes.clone();
    let Ok(entry) = Entry::new(spec, 1, Time::ZERO, 1) else { return };
    let plan = Plan::new(vec![Arc::new(entry)]);
    let key = RequestKey { number: 1, client: None, seed: Seed::new(rest.len() as u64) };
    let clock = Arc::new(Virtual::default());
    let shell: Arc<dyn Shell> = clock.clone();
    let went_up = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&went_up);
    let upstream = move |request: Request| -> BoxFuture<_> {
        *seen.lock().expect("nobody panicked") = Some(request.headers().clone());
        Box::pin(async { Ok(Response::new(Body::full(ANSWER))) })
    };
    let Some(chain) = Chain::new(&plan, &key, &parts, &shell, upstream) else { return };
    let mut asked = parts.headers.clone();
    // The host of a target stands in `Host` too, as for an upstream it would.
    if let Some(host) = parts.uri.authority() {
        asked.insert(HOST, HeaderValue::from_str(host.as_str()).expect("a host is a value"));
    }
    let answer =
        at_once(chain.run(Request::from_parts(parts, Body::empty()))).expect("no fault breaks it off");
    let waited = Duration::from_nanos(clock.now_ns.load(Ordering::Relaxed));
    let longest = caps["max_delay"].as_u64().map(Duration::from_millis);
    assert!(longest.is_none_or(|longest| waited <= longest), "{waited:?} is longer than {longest:?}");
    let status = answer.status().as_u16();
    assert!((200..600).contains(&status), "{status}");
    let up = went_up.lock().expect("nobody panicked").take();
    match up {
        Some(headers) => {
            let others: Vec<_> = asked.keys().filter(|name| !ASKING.contains(&name.as_str())).collect();
            let kept =
                others.iter().all(|name| asked.get_all(*name).iter().eq(headers.get_all(*name).iter()));
            assert!(kept && others.len() == headers.keys_len(), "the other headers go up, and only they");
            let whole = at_once(answer.into_body().collect(ANSWER.len())).expect("no fault breaks it off");
            let whole = whole.unwrap_or_else(|_| panic!("the body has grown"));
            assert_eq!(whole.data, ANSWER);
        }
        None => assert!(caps["aborts"] == true, "aborted, though that is not granted"),
    }
    let asks = asked.keys().any(|name| ASKING.contains(&name.as_str()));
    assert!(asks || !clock.acted.load(Ordering::Relaxed), "acted, though nobody asked");
}

/// What a future yields that has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for what never comes"),
    }
}
