//! What must hold of the readers of the short way, whatever bytes they get: for the fuzz
//! target, and for a test with random ones.

use httparse::{EMPTY_HEADER, Header, Status};

use super::framing::{Chunks, Framing, Malformed};
use super::head::{self, Answer, Asked, HEADERS, Request};
use crate::http::onward::{Changes, Onward};
use crate::model::{Protocol, ProxySpec};

/// Headers of a message that is written: as many as are read, and those that are added, which
/// are `X-Forwarded-For` of a request, `Transfer-Encoding` and `Connection` of an answer.
const WRITTEN: usize = HEADERS + 2;

/// Panics unless it holds of these: choices in the first byte, what the readers get behind it.
pub(crate) fn hold(data: &[u8]) {
    let Some((choices, input)) = data.split_first() else { return };
    let chosen = |bit: u8| choices >> bit & 1 == 1;
    for_requests(input, &changes(chosen(0), chosen(1)));
    for_answers(input, chosen(2), chosen(3));
    for_chunks(input);
}

fn changes(host: bool, client: bool) -> Changes {
    let spec = ProxySpec {
        protocol: Protocol::Http,
        host_rewrite: host.then(|| "other.example:81".to_owned()),
        x_forwarded_for: client,
        ..ProxySpec::new("p", "u:1")
    };
    Onward::new(&spec).unwrap_or_default().of("192.0.2.7:1".parse().ok())
}

/// A request that is taken is one request for hyper's parser too: the same, and no more.
fn for_requests(input: &[u8], changes: &Changes) {
    let mut out = Vec::new();
    let Asked::Plain(request) = head::request(input, &mut out, changes, |_| false) else {
        assert!(out.is_empty(), "what is not taken is not written");
        return;
    };
    is_one_head(&out);
    let (mut before, mut after) = ([EMPTY_HEADER; WRITTEN], [EMPTY_HEADER; WRITTEN]);
    let (mut came, mut went) = (httparse::Request::new(&mut before), httparse::Request::new(&mut after));
    assert_eq!(came.parse(input), Ok(Status::Complete(request.head)));
    assert_eq!(went.parse(&out), Ok(Status::Complete(out.len())));
    assert_eq!((came.method, came.path, Some(1)), (went.method, went.path, went.version));
    let expected = changed(came.headers, changes);
    let written: Vec<_> = went.headers.iter().map(|it| (it.name.to_owned(), it.value.to_vec())).collect();
    assert_eq!(written, expected);
    let lengths: Vec<_> = named(went.headers, "content-length").collect();
    assert!(lengths.len() <= 1 && named(went.headers, "transfer-encoding").next().is_none());
    assert_eq!(lengths.first().map_or(Some(0), |value| number(value)), Some(request.body as u64));
    // The reader ends where the head does, and sees none before.
    for cut in [0, 1, request.head / 2, request.head - 1] {
        let part = head::request(&input[..cut], &mut Vec::new(), changes, |_| false);
        assert_eq!(part, Asked::Part, "{cut} of {}", request.head);
    }
    let mut alone = Vec::new();
    let again: Asked = head::request(&input[..request.head], &mut alone, changes, |_| false);
    assert!(matches!(again, Asked::Plain(Request { head, .. }) if head == request.head) && alone == out);
}

/// The headers of a request as the upstream is to get them, by another way.
fn changed(came: &[Header<'_>], changes: &Changes) -> Vec<(String, Vec<u8>)> {
    let list = changes.forwarded_for(named(came, "x-forwarded-for"));
    let mut out: Vec<(String, Vec<u8>)> = Vec::new();
    for header in came.iter().filter(|header| !header.name.eq_ignore_ascii_case("connection")) {
        let value = match (changes.host(), &list) {
            (Some(host), _) if header.name.eq_ignore_ascii_case("host") => host.as_bytes(),
            (_, Some(list)) if header.name.eq_ignore_ascii_case("x-forwarded-for") => {
                if out.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for")) {
                    continue;
                }
                list
            }
            _ => header.value,
        };
        out.push((header.name.to_owned(), value.to_vec()));
    }
    if let Some(list) = list
        && !out.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"))
    {
        out.push(("X-Forwarded-For".to_owned(), list));
    }
    out
}

/// An answer that is passed on is one for hyper's parser too, and ends where it is said to.
fn for_answers(input: &[u8], to_head: bool, last: bool) {
    let mut out = Vec::new();
    let Ok(Some(answer)) = head::answer(input, to_head, last, &mut out) else {
        assert!(out.is_empty(), "what is not taken is not written");
        return;
    };
    is_one_head(&out);
    let (mut before, mut after) = ([EMPTY_HEADER; WRITTEN], [EMPTY_HEADER; WRITTEN]);
    let (mut came, mut went) = (httparse::Response::new(&mut before), httparse::Response::new(&mut after));
    assert_eq!(came.parse(input), Ok(Status::Complete(answer.head)));
    assert_eq!(went.parse(&out), Ok(Status::Complete(out.len())));
    assert_eq!((came.code, came.reason, Some(1)), (went.code, went.reason, went.version));
    assert_eq!(Some(answer.status), went.code);
    let closes: Vec<_> = named(went.headers, "connection").collect();
    assert_eq!(closes, if last { vec![&b"close"[..]] } else { vec![] });
    is_framed_alike(&answer, went.headers, to_head);
    for cut in [0, 1, answer.head / 2, answer.head - 1] {
        let mut out = Vec::new();
        assert_eq!(head::answer(&input[..cut], to_head, last, &mut out), Ok(None));
    }
}

/// Whoever reads the head that was written finds the end of the body where we do.
fn is_framed_alike(answer: &Answer, headers: &[Header<'_>], to_head: bool) {
    let codings: Vec<_> = named(headers, "transfer-encoding").collect();
    let mut lengths = named(headers, "content-length").map(number);
    let length = lengths.next();
    assert!(lengths.all(|other| Some(other) == length), "one length");
    assert!(codings.is_empty() || codings == [b"chunked"] && length.is_none(), "one framing");
    if to_head || answer.is_interim() || matches!(answer.status, 204 | 304) {
        assert!(answer.framing.is_empty());
        return;
    }
    match answer.framing {
        Framing::Length(bytes) => assert_eq!((length, codings.len()), (Some(Some(bytes)), 0)),
        Framing::Chunked(_) | Framing::Close => assert_eq!(codings.len(), 1),
    }
}

/// Chunks end at the same place in any pieces, and for hyper's parser of their sizes.
fn for_chunks(input: &[u8]) {
    let whole = scan(input, input.len().max(1));
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(scan(input, piece), whole, "in pieces of {piece}");
    }
    let Ok((end, true)) = whole else { return };
    let mut at = 0;
    loop {
        let line = httparse::parse_chunk_size(&input[at..]);
        let Ok(Status::Complete((line, size))) = line else {
            panic!("{line:?} at {at} {:?}", String::from_utf8_lossy(&input[..end]))
        };
        at += line;
        if size == 0 {
            let mut trailers = [EMPTY_HEADER; 64];
            if let Ok(Status::Complete((bytes, _))) = httparse::parse_headers(&input[at..], &mut trailers) {
                assert_eq!(at + bytes, end);
            }
            return;
        }
        at = usize::try_from(size).map_or(usize::MAX, |size| at.saturating_add(size));
        assert_eq!(input.get(at..).and_then(|rest| rest.get(..2)), Some(&b"\r\n"[..]));
        at += 2;
    }
}

/// The bytes that belong to the body, read in pieces of `piece`; and whether it ended.
fn scan(input: &[u8], piece: usize) -> Result<(usize, bool), Malformed> {
    let mut framing = Framing::Chunked(Chunks::default());
    let mut bytes = 0;
    for data in input.chunks(piece) {
        let scanned = framing.scan(data)?;
        assert!(scanned.bytes <= data.len() && (scanned.end || scanned.bytes == data.len()));
        bytes += scanned.bytes;
        if scanned.end {
            return Ok((bytes, true));
        }
    }
    Ok((bytes, false))
}

/// No line ends but by CR LF, and none is empty but the last.
fn is_one_head(out: &[u8]) {
    assert_eq!(out.windows(4).position(|four| four == b"\r\n\r\n"), out.len().checked_sub(4));
    let (crs, lfs) = (count(out, b'\r'), count(out, b'\n'));
    assert!(crs == lfs && out.windows(2).filter(|two| two == b"\r\n").count() == crs);
}

fn count(out: &[u8], byte: u8) -> usize {
    out.iter().filter(|it| **it == byte).count()
}

fn named<'a>(headers: &'a [Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use sabot_toxics::Seed;

    use super::*;

    const SEEDS: [&[u8]; 6] = [
        b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nConnection: keep-alive\r\nA: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\nx-forwarded-for:\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close, X\r\nX: y\r\n\r\nhello",
        b"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"5;x=\"y\"\r\nhello\r\n1f\r\n0123456789abcdef0123456789abcde\r\n0\r\nSum: 1\r\n\r\nHTTP/1.1 200",
    ];

    /// What is put in, beside bytes: where readers differ.
    const BITS: [&[u8]; 12] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b":",
        b"Host: b\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"X-Forwarded-For: c\r\n",
        b"0\r\n\r\n",
    ];

    #[test]
    fn they_hold_of_messages_with_as_many_headers_as_are_taken() {
        for choices in 0..16 {
            let mut answer = vec![choices];
            answer.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
            answer.extend(b"A: b\r\n".repeat(HEADERS));
            answer.extend_from_slice(b"\r\nuntil it closes");
            hold(&answer);
            let mut request = vec![choices];
            request.extend_from_slice(b"GET / HTTP/1.1\r\nHost: a\r\n");
            request.extend(b"A: b\r\n".repeat(HEADERS - 1));
            request.extend_from_slice(b"\r\n");
            hold(&request);
        }
    }

    #[test]
    fn they_hold_of_what_is_right_and_of_what_is_nearly_so() {
        for run in 0..30_000 {
            let draws = &mut Seed::new(7).at(run);
            let mut bytes = vec![draws.below(16) as u8];
            bytes.extend_from_slice(SEEDS[draws.below(SEEDS.len() as u64) as usize]);
            for _ in 0..draws.below(4) {
                if bytes.len() < 3 {
                    break;
                }
                let at = 1 + draws.below(bytes.len() as u64 - 1) as usize;
                match draws.below(4) {
                    0 => bytes[at] = draws.below(256) as u8,
                    1 => drop(bytes.remove(at)),
                    2 => bytes.truncate(at + 1),
                    _ => {
                        let bit = BITS[draws.below(BITS.len() as u64) as usize];
                        drop(bytes.splice(at..at, bit.iter().copied()));
                    }
                }
            }
            let caught = std::panic::catch_unwind(|| hold(&bytes));
            assert!(caught.is_ok(), "run {run}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
