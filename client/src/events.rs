//! The live stream of one proxy: server-sent events.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::Stream;
use hyper::body::{Body, Incoming};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, Sleep};

use crate::Error;

/// One event is a few hundred bytes; a megabyte without an end is not ours.
const MAX_EVENT: usize = 1 << 20;

/// The server sends a comment every few seconds when nothing happens, so a
/// minute of silence means that it is gone without having said so.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// Something that happened on a proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What it is, such as `connection_opened`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its fields.
    pub data: Value,
}

/// A [`Stream`] of events; it ends when the server or the proxy does.
///
/// Polling it is cancel safe: an event is given once or still waits.
#[derive(Debug)]
pub struct Events {
    path: String,
    body: Incoming,
    unread: BytesMut,
    silence: Pin<Box<Sleep>>,
    over: bool,
}

impl Events {
    pub(crate) fn new(path: String, body: Incoming) -> Self {
        let silence = Box::pin(tokio::time::sleep(MAX_SILENCE));
        Self { path, body, unread: BytesMut::new(), silence, over: false }
    }

    /// The next whole event among the bytes at hand; comments are skipped.
    fn take(&mut self) -> Option<Result<Event, Error>> {
        while let Some((block, rest)) = block(&self.unread) {
            let parsed = parse(&self.unread[..block]);
            let _ = self.unread.split_to(rest);
            match parsed {
                Ok(None) => {}
                Ok(Some(event)) => return Some(Ok(event)),
                Err(reason) => return Some(Err(self.broken(reason))),
            }
        }
        None
    }

    fn broken(&mut self, reason: String) -> Error {
        self.over = true;
        Error::Answer { call: format!("GET {}", self.path), reason }
    }
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if this.over {
                return Poll::Ready(None);
            }
            if let Some(event) = this.take() {
                return Poll::Ready(Some(event));
            }
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.silence.as_mut().reset(Instant::now() + MAX_SILENCE);
                    if let Ok(data) = frame.into_data() {
                        this.unread.extend_from_slice(&data);
                    }
                    if this.unread.len() > MAX_EVENT && block(&this.unread).is_none() {
                        return Poll::Ready(Some(Err(this.broken("an event without an end".into()))));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let (call, reason) = (format!("GET {}", this.path), error.to_string());
                    this.over = true;
                    return Poll::Ready(Some(Err(Error::Lost { call, reason })));
                }
                Poll::Ready(None) => this.over = true,
                Poll::Pending => {
                    std::task::ready!(this.silence.as_mut().poll(cx));
                    let call = format!("GET {}", this.path);
                    this.over = true;
                    return Poll::Ready(Some(Err(Error::Timeout { call, after: MAX_SILENCE })));
                }
            }
        }
    }
}

/// Where the first block ends, and where the next one begins.
fn block(bytes: &[u8]) -> Option<(usize, usize)> {
    let feed = |(at, pair): (usize, &[u8])| (pair == b"\n\n").then_some((at, at + 2));
    bytes.windows(2).enumerate().find_map(feed)
}

fn parse(block: &[u8]) -> Result<Option<Event>, String> {
    let text = std::str::from_utf8(block).map_err(|_| "an event that is not UTF-8".to_owned())?;
    let (mut kind, mut data) = ("message", String::new());
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => kind = value,
            "data" => {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value);
            }
            // Comments (an empty field name), ids and retries say nothing here.
            _ => {}
        }
    }
    if data.is_empty() {
        return Ok(None);
    }
    let data = serde_json::from_str(&data).map_err(|error| format!("an event that is not JSON: {error}"))?;
    Ok(Some(Event { kind: kind.to_owned(), data }))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn blocks_are_events_or_comments() {
        assert_eq!(parse(b": keep-alive").unwrap(), None);
        let event = parse(b"event: toxic_added\ndata: {\"a\":\ndata: 1}").unwrap().unwrap();
        assert_eq!((event.kind.as_str(), event.data["a"].as_u64()), ("toxic_added", Some(1)));
        assert!(parse(b"data: {").unwrap_err().contains("not JSON"));
    }
}
