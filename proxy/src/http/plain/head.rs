//! Heads of HTTP/1.1 messages, read and written again without a map of headers.
//!
//! Only what cannot be misunderstood is taken. Anything else is left to hyper, which
//! refuses it or knows better; so no error of a client is answered here.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::str;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};
use sabot_toxics::http::Head;

use super::framing::{Chunks, Framing};
use crate::http::onward::Changes;
use crate::http::session::BUFFER;
use crate::http::stats::METHODS;

/// Headers of a message: as many as hyper takes, so that no way refuses what the other
/// would pass.
pub(super) const HEADERS: usize = 100;

/// What some bytes of a client are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The beginning of a head.
    Part,
    /// A request for which this path is made.
    Plain(Request),
    /// Something else.
    Other,
}

/// A request that can be passed on as it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The method, among those that are told apart.
    pub(super) method: &'static str,
    /// Bytes of the head as it came.
    pub(super) head: usize,
    /// Bytes of the body.
    pub(super) body: usize,
    /// The answer has no body, whatever it announces.
    pub(super) is_head: bool,
    /// It may be sent again (RFC 9110, section 9.2.2).
    pub(super) idempotent: bool,
}

/// Reads the head of a request and writes it to `out` as the upstream is to get it,
/// with its `changes`, unless `meets` says that a fault wants to see it as it came.
pub(super) fn request(
    input: &[u8],
    out: &mut Vec<u8>,
    changes: &Changes,
    meets: impl FnOnce(&Raw<'_>) -> bool,
) -> Asked {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let head = match parsed.parse_with_uninit_headers(input, &mut headers) {
        Ok(Status::Complete(head)) => head,
        Ok(Status::Partial) if input.len() < BUFFER => return Asked::Part,
        _ => return Asked::Other,
    };
    let (Some(method), Some(target), Some(1)) = (parsed.method, parsed.path, parsed.version) else {
        return Asked::Other;
    };
    let Some(body) = is_plain(method, target, parsed.headers) else { return Asked::Other };
    if meets(&Raw { method, target, headers: parsed.headers }) {
        return Asked::Other;
    }
    out.reserve(head);
    for part in [method, " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if changes.is_empty() {
        write_headers(out, parsed.headers, |name| name.eq_ignore_ascii_case("connection"));
    } else {
        write_changed(out, parsed.headers, changes);
    }
    out.extend_from_slice(b"\r\n");
    let known = METHODS.iter().find(|known| **known == method);
    let idempotent = matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE");
    Asked::Plain(Request {
        method: known.copied().unwrap_or("other"),
        head,
        body,
        is_head: method == "HEAD",
        idempotent,
    })
}

/// Method, host and target of a head that [`request`] has taken.
pub(super) fn line(head: &[u8]) -> (&str, Option<&str>, &str) {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    // It was complete before.
    let _ = parsed.parse(head);
    let host = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
    let host = host.and_then(|header| str::from_utf8(header.value).ok());
    (parsed.method.unwrap_or_default(), host, parsed.path.unwrap_or("/"))
}

/// The length of the body, if the request is one that everybody understands alike and
/// that asks for nothing but an answer.
fn is_plain(method: &str, target: &str, headers: &[Header<'_>]) -> Option<usize> {
    let (mut hosts, mut length) = (0, None);
    for header in headers {
        let value = header.value;
        // By length first: most names are none of these.
        match header.name.len() {
            4 if header.name.eq_ignore_ascii_case("host") => hosts += 1,
            10 if header.name.eq_ignore_ascii_case("connection") => {
                value.eq_ignore_ascii_case(b"keep-alive").then_some(())?;
            }
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let number = decimal(value)?;
                length.replace(number).is_none().then_some(())?;
            }
            _ if OTHERS.iter().any(|other| header.name.eq_ignore_ascii_case(other)) => return None,
            _ => {}
        }
    }
    let plain = hosts == 1 && method != "CONNECT" && target.starts_with('/') && target.bytes().all(is_target);
    plain.then_some(length.unwrap_or(0))
}

/// Headers of a request that ask for more than an answer, or frame a body by anything
/// but its length.
const OTHERS: [&str; 10] = [
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn is_target(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

/// A length: digits and nothing else, few enough for any machine.
fn decimal(value: &[u8]) -> Option<usize> {
    let digits = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    digits.then(|| str::from_utf8(value).ok()?.parse().ok()).flatten()
}

/// The head of a request for those who choose.
pub(super) struct Raw<'a> {
    method: &'a str,
    target: &'a str,
    headers: &'a [Header<'a>],
}

impl Head for Raw<'_> {
    fn method(&self) -> &str {
        self.method
    }

    fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    fn authority(&self) -> Option<&str> {
        None
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = |header: &&Header<'a>| header.name.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|header| header.value)
    }
}

/// The head of an answer, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Bytes of the head as it came.
    pub(super) head: usize,
    pub(super) framing: Framing,
    /// The connection can take another request after it.
    pub(super) keep: bool,
}

impl Answer {
    /// Whether another head follows in which the answer is (RFC 9110, section 15.2).
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// Whether the body has to be put in chunks: who does not know its end must learn it.
    pub(super) fn unframed(&self) -> bool {
        self.framing == Framing::Close
    }
}

/// Reads the head of an answer and writes it to `out` as the client is to get it, with
/// word of the end if it is the `last`; `None` if it is not complete.
///
/// # Errors
/// It is no answer, or one that could be read in two ways.
pub(super) fn answer(
    input: &[u8],
    to_head: bool,
    last: bool,
    out: &mut Vec<u8>,
) -> Result<Option<Answer>, &'static str> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let read = ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, input, &mut headers);
    let head = match read {
        Ok(Status::Complete(head)) => head,
        Ok(Status::Partial) if input.len() < BUFFER => return Ok(None),
        Ok(Status::Partial) => return Err("the head of the answer is too long"),
        Err(_) => return Err("the answer is no HTTP"),
    };
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err("the answer is no HTTP");
    };
    let hop = Hop::of(parsed.headers, version)?;
    let framing = match (status, hop.chunked, hop.length) {
        _ if to_head => Framing::Length(0),
        (..200 | 204 | 304, ..) => Framing::Length(0),
        (_, true, _) => Framing::Chunked(Chunks::default()),
        (_, false, Some(length)) => Framing::Length(length),
        (_, false, None) => Framing::Close,
    };
    let answer =
        Answer { status, head, keep: version == 1 && !hop.close && framing != Framing::Close, framing };
    out.reserve(head);
    let line = [b"HTTP/1.1 ", &status_text(status)[..], b" ", parsed.reason.unwrap_or_default().as_bytes()];
    line.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"\r\n");
    // An answer without content has no length either (RFC 9110, section 8.6).
    let hop = Hop { lengthless: hop.chunked || status == 204, ..hop };
    write_headers(out, parsed.headers, |name| hop.drops(name, parsed.headers));
    let in_chunks = matches!(answer.framing, Framing::Chunked(_) | Framing::Close);
    if in_chunks || (to_head && hop.chunked) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if last {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(Some(answer))
}

fn status_text(status: u16) -> [u8; 3] {
    [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + (digit % 10) as u8)
}

/// What the headers of an answer say about this hop.
#[derive(Default)]
struct Hop {
    chunked: bool,
    /// The length is not passed on.
    lengthless: bool,
    length: Option<u64>,
    close: bool,
    /// `Connection` names headers that it takes with it.
    names: bool,
}

impl Hop {
    fn of(headers: &[Header<'_>], version: u8) -> Result<Self, &'static str> {
        let mut hop = Self::default();
        for header in headers {
            match header.name.len() {
                10 if header.name.eq_ignore_ascii_case("connection") => {
                    for token in tokens(header.value) {
                        if token.eq_ignore_ascii_case(b"close") {
                            hop.close = true;
                        } else if !token.eq_ignore_ascii_case(b"keep-alive") {
                            hop.names = true;
                        }
                    }
                }
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    let length = decimal(header.value).ok_or("the length of the answer is no number")?;
                    if hop.length.replace(length as u64).is_some_and(|before| before != length as u64) {
                        return Err("the answer has two lengths");
                    }
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    let known = header.value.eq_ignore_ascii_case(b"chunked") && !hop.chunked && version == 1;
                    hop.chunked =
                        known.then_some(true).ok_or("the transfer coding of the answer is unknown")?;
                }
                _ => {}
            }
        }
        Ok(hop)
    }

    fn drops(&self, name: &str, headers: &[Header<'_>]) -> bool {
        // A length beside a transfer coding is not to be believed.
        (self.lengthless && name.eq_ignore_ascii_case("content-length"))
            || HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop))
            || (self.names && is_named(name, headers))
    }
}

/// Headers of one hop.
const HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

fn is_named(name: &str, headers: &[Header<'_>]) -> bool {
    let all = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("connection"));
    all.flat_map(|header| tokens(header.value)).any(|token| token.eq_ignore_ascii_case(name.as_bytes()))
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// The same with what is changed, in its place.
fn write_changed(out: &mut Vec<u8>, headers: &[Header<'_>], changes: &Changes) {
    const FORWARDED: &str = "X-Forwarded-For";
    let is_forwarded = |name: &str| name.eq_ignore_ascii_case(FORWARDED);
    let sent = headers.iter().filter(|header| is_forwarded(header.name)).map(|header| header.value);
    let mut forwarded = changes.forwarded_for(sent);
    let joined = forwarded.is_some();
    for header in headers {
        let value = match (header.name, changes.host()) {
            (name, _) if name.eq_ignore_ascii_case("connection") => None,
            (name, Some(host)) if name.eq_ignore_ascii_case("host") => Some(host.as_bytes().into()),
            (name, _) if joined && is_forwarded(name) => forwarded.take().map(Cow::Owned),
            _ => Some(Cow::Borrowed(header.value)),
        };
        if let Some(value) = value {
            write_header(out, header.name, &value);
        }
    }
    if let Some(value) = forwarded {
        write_header(out, FORWARDED, &value);
    }
}

fn write_headers(out: &mut Vec<u8>, headers: &[Header<'_>], drops: impl Fn(&str) -> bool) {
    for header in headers.iter().filter(|header| !drops(header.name)) {
        write_header(out, header.name, header.value);
    }
}

fn write_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests;
