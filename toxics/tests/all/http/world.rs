//! A world for HTTP faults: virtual time that jumps to the next deadline, an upstream
//! that is a closure, and a client that writes down what comes and when.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, request, response};
use sabot_toxics::http::{
    Answer, Body, BoxFuture, Chain, Connection, Fault, Permit, Request, RequestKey, Response, Shell, Tunnel,
};
use sabot_toxics::{Entry, Plan, Seed, Time};
use serde_json::Value;

/// Time and evidence.
#[derive(Default)]
pub(crate) struct FakeShell(Mutex<Clock>, Connection, Cap);

/// How many requests may be under a fault, and how many are.
#[derive(Default)]
struct Cap(Mutex<Option<usize>>, Arc<()>);

#[derive(Default)]
struct Clock {
    now: Time,
    /// The plan that comes, and when.
    updated: Option<(Time, Plan)>,
    /// When every toxic is taken back.
    removed: Option<Time>,
    waits: BTreeMap<u64, Option<Time>>,
    count: u64,
    acted: Vec<String>,
}

impl Clock {
    fn is_removed(&self) -> bool {
        self.removed.is_some_and(|removed| removed <= self.now)
    }

    /// The toxic as it is now.
    fn current(&self, toxic: &Arc<Entry>) -> Option<Arc<Entry>> {
        if self.is_removed() {
            return None;
        }
        let updated = self.updated.as_ref().filter(|(moment, _)| *moment <= self.now);
        let entry =
            updated.and_then(|(_, plan)| plan.entries().iter().find(|entry| entry.id == toxic.id).cloned());
        entry.or_else(|| Some(Arc::clone(toxic)))
    }

    /// The next moment at which something happens.
    fn next(&self) -> Option<Time> {
        let deadlines = self.waits.values().copied().flatten();
        let updated = self.updated.as_ref().map(|(moment, _)| *moment);
        deadlines.chain(self.removed).chain(updated).filter(|moment| *moment > self.now).min()
    }
}

struct Wait {
    shell: Arc<FakeShell>,
    id: u64,
    ends: Ends,
}

/// What ends a wait before its time.
enum Ends {
    /// Nothing: it is not of a toxic.
    Never,
    Removed,
    /// Another toxic than this one.
    Updated(Arc<Entry>),
}

impl Wait {
    fn new(shell: &Arc<FakeShell>, until: Option<Time>, ends: Ends) -> Self {
        let mut clock = shell.0.lock().unwrap();
        clock.count += 1;
        let id = clock.count;
        clock.waits.insert(id, until);
        Self { shell: Arc::clone(shell), id, ends }
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let clock = self.shell.0.lock().unwrap();
        let until = clock.waits[&self.id];
        let ended = match &self.ends {
            Ends::Never => false,
            Ends::Removed => clock.is_removed(),
            Ends::Updated(seen) => !clock.current(seen).is_some_and(|now| Arc::ptr_eq(&now, seen)),
        };
        if ended || until.is_some_and(|until| until <= clock.now) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // A failing test must show its own panic, not this one.
        if let Ok(mut clock) = self.shell.0.lock() {
            clock.waits.remove(&self.id);
        }
    }
}

/// The shell as the chain wants it: a wait outlives the call that made it.
struct Handle(Arc<FakeShell>);

impl Shell for Handle {
    fn now(&self) -> Time {
        self.0.0.lock().unwrap().now
    }

    fn wait(&self, _: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()> {
        Box::pin(Wait::new(&self.0, until, Ends::Removed))
    }

    fn wait_or_update(&self, seen: &Arc<Entry>, until: Option<Time>) -> BoxFuture<()> {
        Box::pin(Wait::new(&self.0, until, Ends::Updated(Arc::clone(seen))))
    }

    fn current(&self, toxic: &Arc<Entry>) -> Option<Arc<Entry>> {
        self.0.0.lock().unwrap().current(toxic)
    }

    fn admit(&self) -> Option<Permit> {
        let Cap(cap, active) = &self.0.2;
        match *cap.lock().unwrap() {
            None => Some(Permit::unlimited()),
            Some(cap) if Arc::strong_count(active) > cap => None,
            Some(_) => Some(Permit::new(Arc::clone(active))),
        }
    }

    fn connection(&self) -> &Connection {
        &self.0.1
    }

    fn acted(&self, toxic: &Arc<Entry>) {
        self.0.0.lock().unwrap().acted.push(toxic.spec.name.clone());
    }
}

/// A message as it was seen: by the upstream, or by the client.
#[derive(Debug)]
pub(crate) struct Seen<Head> {
    pub(crate) head: Head,
    /// When the head came.
    pub(crate) at: Time,
    /// The data as it came.
    pub(crate) chunks: Vec<(Time, Bytes)>,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) broke: Option<Fault>,
    /// When the body was over.
    pub(crate) ended: Time,
    /// The head was the end as well.
    pub(crate) bare: bool,
}

impl<Head> Seen<Head> {
    pub(crate) fn body(&self) -> Vec<u8> {
        self.chunks.iter().flat_map(|(_, data)| data.to_vec()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body()).unwrap()
    }
}

impl Seen<response::Parts> {
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

type Upstream = dyn Fn(&Seen<request::Parts>) -> Answer + Send + Sync;

/// The end of the way: asks the upstream, and writes down what it is told to get ready for.
struct End<F> {
    ask: F,
    prepared: Arc<Mutex<Vec<Time>>>,
}

impl<F: Fn(Request) -> BoxFuture<Answer> + Send + Sync + 'static> sabot_toxics::http::Upstream for End<F> {
    fn send(&self, request: Request) -> BoxFuture<Answer> {
        (self.ask)(request)
    }

    fn prepare(&self, at: Time) {
        self.prepared.lock().unwrap().push(at);
    }
}

/// One proxy with its toxics.
pub(crate) struct World {
    shell: Arc<FakeShell>,
    plan: Plan,
    upstream: Arc<Upstream>,
    seen: Arc<Mutex<Vec<Seen<request::Parts>>>>,
    prepared: Arc<Mutex<Vec<Time>>>,
    seed: u64,
    /// Who sends the requests.
    pub(crate) client: Option<IpAddr>,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            shell: Arc::default(),
            plan,
            upstream: Arc::new(|seen| Ok(answer_to(seen))),
            seen: Arc::default(),
            prepared: Arc::default(),
            seed: 7,
            client: None,
        }
    }

    pub(crate) fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    pub(crate) fn answering(
        self,
        upstream: impl Fn(&Seen<request::Parts>) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self { upstream: Arc::new(move |seen| Ok(upstream(seen))), ..self }
    }

    /// So many requests may be under a fault at one time.
    pub(crate) fn capped(self, cap: usize) -> Self {
        *self.shell.2.0.lock().unwrap() = Some(cap);
        self
    }

    /// All toxics are taken back at `ms`.
    pub(crate) fn removed_at(self, ms: f64) -> Self {
        self.shell.0.lock().unwrap().removed = Some(crate::support::at_ms(ms));
        self
    }

    /// All toxics are taken back now.
    pub(crate) fn remove(&self) {
        let mut clock = self.shell.0.lock().unwrap();
        clock.removed = Some(clock.now);
    }

    /// The first toxic is given other attributes at `ms`.
    pub(crate) fn updated_at(self, ms: f64, attributes: Value) -> Self {
        let plan = crate::support::updated(&self.plan, 0, attributes);
        self.shell.0.lock().unwrap().updated = Some((crate::support::at_ms(ms), plan));
        self
    }

    /// The first toxic is given other attributes.
    pub(crate) fn update(&mut self, attributes: Value) {
        self.plan = crate::support::updated(&self.plan, 0, attributes);
    }

    /// Nothing happens for that long.
    pub(crate) fn pass(&self, span: Duration) {
        let mut clock = self.shell.0.lock().unwrap();
        clock.now = clock.now + span;
    }

    pub(crate) fn now(&self) -> Time {
        self.shell.0.lock().unwrap().now
    }

    /// The toxics that acted, once for each request.
    pub(crate) fn acted(&self) -> Vec<String> {
        self.shell.0.lock().unwrap().acted.clone()
    }

    /// What the upstream has seen since the last time.
    pub(crate) fn seen(&self) -> Vec<Seen<request::Parts>> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// For when the upstream was to be ready.
    pub(crate) fn prepared(&self) -> Vec<Time> {
        self.prepared.lock().unwrap().clone()
    }

    /// Sends the request with that number, and reads its answer to the end; where the
    /// answer opens a tunnel, a message comes down through it.
    pub(crate) fn send(&self, number: u64, request: Request) -> Result<Seen<response::Parts>, Fault> {
        let mut answer = self.ask(number, request)?;
        if let Some(tunnel) = answer.extensions().get::<Tunnel>().cloned() {
            let message = Body::full(&b"\x81\x05hello"[..]);
            *answer.body_mut() = match tunnel.take() {
                Some([_, down]) => down.around(message),
                None => message,
            };
        }
        Ok(self.run(read(&self.handle(), answer.into_parts())))
    }

    /// Sends the request with that number; the body of the answer is still to be read.
    pub(crate) fn ask(&self, number: u64, request: Request) -> Answer {
        let shell = self.handle();
        let (head, body) = request.into_parts();
        let key = RequestKey { number, client: self.client, seed: Seed::new(self.seed) };
        let (upstream, seen) = (Arc::clone(&self.upstream), Arc::clone(&self.seen));
        let own = Arc::clone(&shell);
        let ask = move |request: Request| -> BoxFuture<Answer> {
            let (upstream, seen, shell) = (Arc::clone(&upstream), Arc::clone(&seen), Arc::clone(&own));
            Box::pin(async move {
                let request = read(&shell, request.into_parts()).await;
                let answer = upstream(&request);
                seen.lock().unwrap().push(request);
                answer
            })
        };
        let end = End { ask: ask.clone(), prepared: Arc::clone(&self.prepared) };
        let chain = Chain::new(&self.plan, &key, &head, &shell, end);
        let request = Request::from_parts(head, body);
        self.run(async move {
            match chain {
                Some(chain) => chain.run(request).await,
                None => ask(request).await,
            }
        })
    }

    fn handle(&self) -> Arc<dyn Shell> {
        Arc::new(Handle(Arc::clone(&self.shell)))
    }

    /// A body whose pieces come one every `gap`, whatever toxics there are.
    pub(crate) fn slow(&self, chunks: &'static [&'static [u8]], gap: Duration) -> Body {
        let shell = Arc::clone(&self.shell);
        Body::driven((shell, chunks.iter()), move |(shell, mut chunks)| async move {
            let chunk = chunks.next()?;
            let now = shell.0.lock().unwrap().now;
            Wait::new(&shell, Some(now + gap), Ends::Never).await;
            Some((Ok(http_body::Frame::data(Bytes::from_static(chunk))), (shell, chunks)))
        })
    }

    /// Lets time pass until the future is ready.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.try_run(future).expect("it waits for what never comes")
    }

    /// Lets time pass until the future is ready, or waits for what never comes.
    pub(crate) fn try_run<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Some(value);
            }
            let mut clock = self.shell.0.lock().unwrap();
            clock.now = clock.next()?;
        }
    }
}

/// Reads a message to its end.
async fn read<Head>(shell: &Arc<dyn Shell>, (head, mut body): (Head, Body)) -> Seen<Head> {
    let at = shell.now();
    let bare = http_body::Body::is_end_stream(&body);
    let mut seen = Seen { head, at, chunks: Vec::new(), trailers: None, broke: None, ended: at, bare };
    while let Some(frame) = body.next().await {
        match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => seen.chunks.push((shell.now(), data)),
                Err(frame) => seen.trailers = frame.into_trailers().ok(),
            },
            Err(fault) => seen.broke = Some(fault),
        }
    }
    seen.ended = shell.now();
    seen
}

/// A body that comes in these pieces.
pub(crate) fn chunked(chunks: &[&[u8]]) -> Body {
    let chunks: Vec<Bytes> = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk)).collect();
    Body::driven(chunks.into_iter(), |mut chunks| async move {
        Some((Ok(http_body::Frame::data(chunks.next()?)), chunks))
    })
}

pub(crate) fn get(target: &str) -> Request {
    http::Request::get(target).header("host", "shop.test").body(Body::empty()).unwrap()
}

/// A request with a JSON body.
pub(crate) fn post(target: &str) -> Request {
    let text = r#"{"amount":1999,"items":["a","b"]}"#;
    http::Request::post(target)
        .header("host", "shop.test")
        .header("content-type", "application/json")
        .header("content-length", text.len())
        .header("x-trace", "1")
        .header("x-trace", "2")
        .body(Body::full(text))
        .unwrap()
}

/// The upgrade that an upstream agrees to.
pub(crate) fn agree(protocol: &'static str) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert("upgrade", protocol.parse().unwrap());
    answer.extensions_mut().insert(Tunnel::default());
    answer
}

fn answer_to(request: &Seen<request::Parts>) -> Response {
    if request.head.headers.contains_key("upgrade") { agree("WebSocket") } else { answer() }
}

/// What the upstream answers unless it is told otherwise.
pub(crate) fn answer() -> Response {
    json_answer(r#"{"ok":true,"sum":12}"#)
}

pub(crate) fn json_answer(text: &str) -> Response {
    http::Response::builder()
        .header("content-type", "application/json; charset=utf-8")
        .header("content-length", text.len())
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .body(Body::full(text.to_owned()))
        .unwrap()
}
