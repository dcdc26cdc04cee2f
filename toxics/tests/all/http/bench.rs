//! One toxic in a [`World`], and an upstream that answers whatever it is asked the same.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Frame;
use sabot_toxics::Time;
use sabot_toxics::http::{Answer, Body, Fault, Response};
use serde_json::{Value, json};

use super::one;
use super::world::World;

/// A proxy with one toxic, and a client that numbers its requests.
pub(crate) struct Bench {
    pub(crate) world: World,
    number: Cell<u64>,
}

impl Bench {
    pub(crate) fn new(kind: &str, attributes: Value) -> Self {
        let world = World::new(one(kind, attributes)).answering(|_| Response::new(Body::full("real")));
        Self { world, number: Cell::new(0) }
    }

    pub(crate) fn answering(self, answer: impl Fn() -> Response + Send + Sync + 'static) -> Self {
        Self { world: self.world.answering(move |_| answer()), ..self }
    }

    /// An upstream whose answers come in these chunks.
    pub(crate) fn chunked(self, content_type: &'static str, chunks: &'static [&'static str]) -> Self {
        self.answering(move || {
            let mut response = Response::new(Body::driven(chunks.iter(), |mut chunks| async move {
                let chunk = chunks.next()?;
                Some((Ok(Frame::data(Bytes::from_static(chunk.as_bytes()))), chunks))
            }));
            response.headers_mut().insert("content-type", content_type.parse().unwrap());
            response
        })
    }

    /// The requests that follow are of that client.
    pub(crate) fn client(&mut self, address: &str) {
        self.world.client = Some(address.parse().unwrap());
    }

    pub(crate) fn update(&mut self, attributes: Value) {
        self.world.update(attributes);
    }

    /// The toxic is taken back now.
    pub(crate) fn remove(&self) {
        self.world.remove();
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.world.pass(span);
    }

    pub(crate) fn now(&self) -> Time {
        self.world.now()
    }

    pub(crate) fn acted(&self) -> usize {
        self.world.acted().len()
    }

    /// The head of the answer; its body is still to be read.
    pub(crate) fn send(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.number.set(self.number.get() + 1);
        let mut request = http::Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.world.ask(self.number.get(), request.body(Body::empty()).unwrap())
    }

    pub(crate) fn get(&self) -> Response {
        self.send("/", &[]).unwrap()
    }

    pub(crate) fn status(&self) -> u16 {
        self.get().status().as_u16()
    }

    /// The headers that went up last, once.
    pub(crate) fn seen(&self) -> Option<http::HeaderMap> {
        self.world.seen().pop().map(|seen| seen.head.headers)
    }

    /// The chunks that come, and how it goes on.
    pub(crate) fn chunks(&self, body: &mut Body) -> (Vec<String>, End) {
        let mut chunks = Vec::new();
        loop {
            match self.world.try_run(body.next()) {
                None => return (chunks, End::Waits),
                Some(None) => return (chunks, End::Whole),
                Some(Some(Err(fault))) => return (chunks, End::Breaks(fault)),
                Some(Some(Ok(frame))) => {
                    chunks.push(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap());
                }
            }
        }
    }
}

/// How a body goes on.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Whole,
    Waits,
    Breaks(Fault),
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The body of an answer that is there at once.
pub(crate) fn text(response: Response) -> String {
    let whole = response.into_body().collect(usize::MAX).now_or_never().unwrap().unwrap().unwrap();
    String::from_utf8(whole.data.to_vec()).unwrap()
}

pub(crate) fn refused(kind: &str, attributes: Value) -> String {
    let spec = json!({"type": kind, "attributes": attributes});
    serde_json::from_value::<sabot_toxics::ToxicSpec>(spec).unwrap_err().to_string()
}
