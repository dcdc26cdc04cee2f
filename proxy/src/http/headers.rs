//! Headers that belong to one hop and are not passed on (RFC 9110, section 7.6.1).

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use http_body::Body;
use sabot_toxics::http::Response;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Of one hop whether `Connection` names them or not.
const HOP: [HeaderName; 8] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What the client asks to change the connection to, if it does so properly.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
    // Passed on, h2c would be a tunnel past all faults; the change is made here, or not at all.
    let known = |protocol: &&HeaderValue| asked && !protocol.as_bytes().eq_ignore_ascii_case(b"h2c");
    headers.get(UPGRADE).filter(known).cloned()
}

/// Takes off what belongs to this hop, and keeps the order of the rest. `TE:
/// trailers` is kept: gRPC has servers refuse calls without it.
pub(super) fn strip(headers: &mut HeaderMap) {
    if !HOP.iter().any(|name| headers.contains_key(name)) {
        return;
    }
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter_map(|token| token.parse().ok())
        .filter(|name| *name != HOST)
        .collect();
    // RFC 9112, section 6.3: a length beside a transfer coding is not to be believed.
    let length = !headers.contains_key(TRANSFER_ENCODING);
    let trailers = tokens(headers, &TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    // Not removed one by one: `remove` puts the last header in the gap.
    let all = std::mem::take(headers);
    headers.reserve(all.keys_len());
    let mut last = None;
    for (name, value) in all {
        last = name.or(last);
        let Some(name) = &last else { continue };
        let believed = length || *name != CONTENT_LENGTH;
        if !HOP.contains(name) && !named.contains(name) && believed {
            headers.append(name, value);
        }
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Has a body of unknown length sent in chunks: without being told, hyper takes it that
/// methods which seldom have a body have none.
pub(super) fn frame<B: Body>(request: &mut http::Request<B>) {
    let unknown = !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
    if unknown && !request.headers().contains_key(CONTENT_LENGTH) {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Takes the body off an answer that has none by its status or because HEAD was asked: a
/// fault need not know, hyper sees to it over HTTP/1 only, and HTTP/2 calls it an error.
pub(super) fn bodiless(mut answer: Response, to_head: bool) -> Response {
    let none = matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !to_head && !none {
        return answer;
    }
    let length = answer.body().size_hint().exact().filter(|_| to_head && !none);
    if let Some(length) = length.filter(|_| !answer.body().is_end_stream()) {
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    *answer.body_mut() = sabot_toxics::http::Body::empty();
    no_content(&mut answer);
    answer
}

/// An answer without content has no length either (RFC 9110, section 8.6).
pub(super) fn no_content<B>(answer: &mut http::Response<B>) {
    if answer.status() == StatusCode::NO_CONTENT {
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
}

/// Joins what HTTP/2 may have split (RFC 9113, section 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

/// What is wrong with the head of a request that hyper lets pass.
pub(super) fn fault(version: Version, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        // RFC 9112, section 3.2, whatever the target says.
        (None, _) if version == Version::HTTP_11 => return Some((StatusCode::BAD_REQUEST, "no Host")),
        // The same: which one would be believed is anyone's guess.
        (_, Some(_)) => return Some((StatusCode::BAD_REQUEST, "more than one Host")),
        _ => {}
    }
    let mut codings =
        tokens(headers, &TRANSFER_ENCODING).map(|coding| coding.eq_ignore_ascii_case("chunked"));
    match (codings.next(), codings.next()) {
        (None, _) | (Some(true), None) => None,
        (Some(true), Some(true)) => Some((StatusCode::BAD_REQUEST, "chunked more than once")),
        // hyper undoes the last coding alone; the upstream would get the others unannounced.
        _ => Some((StatusCode::NOT_IMPLEMENTED, "a transfer coding other than chunked")),
    }
}

/// What a header lists.
pub(super) fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_belongs_to_the_hop_goes_and_the_rest_keeps_its_order() {
        let mut headers = map(&[
            ("host", "a"),
            ("connection", "keep-alive, X-Mine"),
            ("set-cookie", "1"),
            ("x-mine", "gone"),
            ("keep-alive", "timeout=5"),
            ("b", "2"),
            ("set-cookie", "2"),
            ("te", "trailers, deflate"),
            ("a", "3"),
        ]);
        strip(&mut headers);
        let left: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        assert_eq!(left, ["host: a", "set-cookie: 1", "set-cookie: 2", "b: 2", "a: 3", "te: trailers"]);
    }

    #[test]
    fn a_request_cannot_have_its_host_taken_off() {
        let mut headers = map(&[("host", "a"), ("connection", "host, x"), ("x", "1")]);
        strip(&mut headers);
        assert_eq!(headers, map(&[("host", "a")]));
    }

    #[test]
    fn one_host_and_one_coding_are_right() {
        let status = |version, pairs: &[(&'static str, &'static str)]| {
            fault(version, &map(pairs)).map(|(it, _)| it.as_u16())
        };
        let (one, te) = (Version::HTTP_11, "transfer-encoding");
        assert_eq!(status(one, &[("host", "a"), (te, ", Chunked")]), None);
        assert_eq!(status(one, &[("host", "a"), ("host", "a")]), Some(400));
        assert_eq!(status(one, &[]), Some(400));
        assert_eq!(status(one, &[("host", "")]), None, "of a target that has none");
        assert_eq!(status(Version::HTTP_10, &[]), None);
        assert_eq!(status(Version::HTTP_2, &[]), None);
        assert_eq!(status(Version::HTTP_2, &[("host", "a"), ("host", "a")]), Some(400));
        assert_eq!(status(one, &[("host", "a"), (te, "chunked"), (te, "chunked")]), Some(400));
        assert_eq!(status(one, &[("host", "a"), (te, "gzip, chunked")]), Some(501));
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        assert!(upgrade(&map(&[("upgrade", "websocket"), ("connection", "keep-alive, Upgrade")])).is_some());
        assert!(upgrade(&map(&[("upgrade", "websocket"), ("connection", "keep-alive")])).is_none());
        assert!(upgrade(&map(&[("connection", "upgrade")])).is_none());
    }
}
