//! The change from HTTP/1.1 to HTTP/2 without TLS (RFC 7540, section 3.2).
//!
//! The request that asks for it is the first of the new connection: it goes on as a
//! HEADERS frame of stream 1 behind what the client begins HTTP/2 with. So it meets the
//! faults as one of HTTP/2, and nothing else has to know of the change.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, HOST, TE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::headers::{strip, tokens};
use super::unread::Unread;

const SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// What a client begins with (RFC 9113, section 3.4): these bytes, and a SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The head of a frame (RFC 9113, section 4.1).
const FRAME: usize = 9;

/// The longest frame that may be sent unasked (RFC 9113, section 4.2).
const LONGEST: usize = 16_384;

/// The request as the first frame of HTTP/2, if it asks for that.
///
/// One with a body, or with a head that no frame holds, is answered over HTTP/1.1: a
/// server may ignore the wish. The settings beside it are repeated in the preface.
pub(super) fn first_frame<B: Body>(request: &http::Request<B>) -> Option<Bytes> {
    let headers = request.headers();
    let mut settings = headers.get_all(SETTINGS).iter();
    let asks = request.version() == Version::HTTP_11
        && has_token(headers, &UPGRADE, "h2c")
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &CONNECTION, SETTINGS.as_str())
        && settings.next().is_some()
        && settings.next().is_none();
    let simple = request.body().is_end_stream() && headers.get_all(HOST).iter().nth(1).is_none();
    if !asks || !simple {
        return None;
    }
    let block = block(request);
    let length = u32::try_from(block.len()).ok().filter(|_| block.len() <= LONGEST)?;
    let mut frame = BytesMut::with_capacity(FRAME + block.len());
    frame.put_uint(length.into(), 3);
    frame.put_u8(0x1); // HEADERS
    frame.put_u8(0x4 | 0x1); // END_HEADERS, END_STREAM
    frame.put_u32(1);
    frame.put(block);
    Some(frame.freeze())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|given| given.eq_ignore_ascii_case(token))
}

/// The head of a request in HPACK: literals that nothing is to be remembered of (RFC
/// 7541, section 6.2.2), for the client's encoder knows nothing of them.
fn block<B>(request: &http::Request<B>) -> BytesMut {
    let (uri, mut headers) = (request.uri(), request.headers().clone());
    strip(&mut headers);
    // Named by `Connection` or not, it ends here.
    headers.remove(SETTINGS);
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes()).or(host);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut block = BytesMut::new();
    literal(&mut block, b":method", request.method().as_str().as_bytes());
    literal(&mut block, b":scheme", b"http");
    literal(&mut block, b":path", path.as_bytes());
    if let Some(authority) = authority {
        literal(&mut block, b":authority", authority);
    }
    for (name, value) in headers.iter().filter(|(name, _)| **name != HOST && **name != TE) {
        literal(&mut block, name.as_str().as_bytes(), value.as_bytes());
    }
    if headers.contains_key(TE) {
        literal(&mut block, b"te", b"trailers");
    }
    block
}

fn literal(block: &mut BytesMut, name: &[u8], value: &[u8]) {
    block.put_u8(0);
    for text in [name, value] {
        length(block, text.len());
        block.put(text);
    }
}

/// An integer behind a prefix of 7 bits (RFC 7541, section 5.1).
fn length(block: &mut BytesMut, length: usize) {
    const FULL: usize = 127;
    let Some(mut rest) = length.checked_sub(FULL) else {
        block.put_u8(length as u8);
        return;
    };
    block.put_u8(FULL as u8);
    while rest > FULL {
        block.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.put_u8(rest as u8);
}

/// Reads what a client begins HTTP/2 with, its preface and its SETTINGS; the connection
/// as it goes on, with `first` behind them.
///
/// # Errors
/// The client breaks off; `InvalidData` if it speaks something else.
pub(super) async fn join<I: AsyncRead + Unpin>(mut io: I, first: &[u8]) -> io::Result<Unread<I>> {
    let mut begun = vec![0; PREFACE.len() + FRAME];
    // Not a byte beyond the frame: what follows it comes behind ours.
    io.read_exact(&mut begun).await?;
    let settings = match begun.strip_prefix(PREFACE) {
        Some([high, middle, low, ..]) => u32::from_be_bytes([0, *high, *middle, *low]) as usize,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    if settings > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let read = begun.len();
    begun.resize(read + settings, 0);
    io.read_exact(&mut begun[read..]).await?;
    begun.extend_from_slice(first);
    Ok(Unread::new(begun, io))
}

#[cfg(test)]
mod tests {
    use http_body_util::{Empty, Full};
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn asking<B>(body: B, value: &str) -> http::Request<B> {
        http::Request::builder()
            .uri("/a?b")
            .header("host", "x:1")
            .header("connection", "Upgrade, HTTP2-Settings")
            .header("upgrade", "h2c")
            .header("http2-settings", "AAMAAABk")
            .header("x-a", value)
            .body(body)
            .unwrap()
    }

    #[test]
    fn the_request_becomes_a_frame_without_what_belongs_to_the_hop() {
        let frame = first_frame(&asking(Empty::<Bytes>::new(), "1")).unwrap();
        let text = String::from_utf8_lossy(&frame[FRAME..]).replace('\0', "|");
        let wanted = "|\u{7}:method\u{3}GET|\u{7}:scheme\u{4}http|\u{5}:path\u{4}/a?b|\u{a}:authority\u{3}x:1\
                      |\u{3}x-a\u{1}1";
        assert_eq!(text, wanted);
        assert_eq!(frame[..FRAME], [0, 0, wanted.len() as u8, 1, 5, 0, 0, 0, 1]);
    }

    #[test]
    fn long_values_have_long_lengths() {
        for (count, bytes) in [(126, vec![126]), (127, vec![127, 0]), (255, vec![127, 128, 1])] {
            let mut block = BytesMut::new();
            length(&mut block, count);
            assert_eq!(block, bytes, "{count}");
        }
    }

    #[test]
    fn what_cannot_be_the_first_of_http_2_stays() {
        assert!(first_frame(&asking(Full::new(Bytes::from("body")), "1")).is_none());
        assert!(first_frame(&asking(Empty::<Bytes>::new(), &"y".repeat(LONGEST))).is_none());
        for name in ["connection", "upgrade", "http2-settings"] {
            let mut request = asking(Empty::<Bytes>::new(), "1");
            request.headers_mut().remove(name);
            assert!(first_frame(&request).is_none(), "{name}");
        }
        let mut request = asking(Empty::<Bytes>::new(), "1");
        request.headers_mut().append("http2-settings", "AAMAAABk".parse().unwrap());
        assert!(first_frame(&request).is_none());
    }

    #[tokio::test]
    async fn the_frame_comes_behind_the_settings_wherever_reads_end() {
        let begun = [PREFACE, &[0, 1, 44], &[9; 6], &[b's'; 300]].concat();
        let sent = [&begun[..], b"rest"].concat();
        for step in [1, 7, 33, 1000] {
            let (mut client, server) = tokio::io::duplex(step);
            let sent = sent.clone();
            tokio::spawn(async move { client.write_all(&sent).await });
            let mut heard = Vec::new();
            join(server, b"FIRST").await.unwrap().read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, [&begun[..], b"FIRST", b"rest"].concat(), "{step}");
        }
    }

    #[tokio::test]
    async fn what_is_no_http_2_is_refused() {
        let endless = [PREFACE, &[1, 0, 0], &[0; 6]].concat();
        for sent in [&b"GET / HTTP/1.1\r\nHost: a-long-name.example\r\n\r\n"[..], &endless] {
            let refused = join(sent, b"FIRST").await.err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        }
        assert!(join(&b"PRI * HT"[..], b"FIRST").await.is_err());
    }
}
