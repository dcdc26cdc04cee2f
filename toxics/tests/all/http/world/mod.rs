//! A world for HTTP faults: virtual time that jumps to the next deadline, an upstream
//! that is a closure, and a client that writes down what comes and when.

mod messages;
mod shell;

use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{request, response};
use sabot_toxics::http::{
    Answer, Body, BoxFuture, Chain, Fault, Request, RequestKey, Response, Shell, Tunnel,
};
use sabot_toxics::{Plan, Seed, Time};
use serde_json::Value;

pub(crate) use messages::{Seen, agree, answer, chunked, get, json_answer, post};
use messages::{answer_to, read};
use shell::{Ends, FakeShell, Handle, Wait};

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
        self.shell.cap(cap);
        self
    }

    /// All toxics are taken back at `ms`.
    pub(crate) fn removed_at(self, ms: f64) -> Self {
        self.shell.clock().removed = Some(crate::support::at_ms(ms));
        self
    }

    /// All toxics are taken back now.
    pub(crate) fn remove(&self) {
        let mut clock = self.shell.clock();
        clock.removed = Some(clock.now);
    }

    /// The first toxic is given other attributes at `ms`.
    pub(crate) fn updated_at(self, ms: f64, attributes: Value) -> Self {
        let plan = crate::support::updated(&self.plan, 0, attributes);
        self.shell.clock().updated = Some((crate::support::at_ms(ms), plan));
        self
    }

    /// The first toxic is given other attributes.
    pub(crate) fn update(&mut self, attributes: Value) {
        self.plan = crate::support::updated(&self.plan, 0, attributes);
    }

    /// Nothing happens for that long.
    pub(crate) fn pass(&self, span: Duration) {
        let mut clock = self.shell.clock();
        clock.now = clock.now + span;
    }

    pub(crate) fn now(&self) -> Time {
        self.shell.clock().now
    }

    /// The toxics that acted, once for each request.
    pub(crate) fn acted(&self) -> Vec<String> {
        self.shell.clock().acted.clone()
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
            let now = shell.clock().now;
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
            let mut clock = self.shell.clock();
            clock.now = clock.next()?;
        }
    }
}
