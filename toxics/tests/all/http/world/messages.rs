//! Requests and answers: made, and as they were seen.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, request, response};
use sabot_toxics::Time;
use sabot_toxics::http::{Body, Fault, Request, Response, Shell, Tunnel};

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

/// Reads a message to its end.
pub(super) async fn read<Head>(shell: &Arc<dyn Shell>, (head, mut body): (Head, Body)) -> Seen<Head> {
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

pub(super) fn answer_to(request: &Seen<request::Parts>) -> Response {
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
