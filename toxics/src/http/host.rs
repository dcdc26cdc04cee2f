//! The host that is asked for, in the one place where faults look.

use http::header::HOST;
use http::uri::{Authority, Uri};
use http::{HeaderValue, Version};

use super::Request;

/// Writes the host into `Host` if the target names it, as over HTTP/2: what faults do to
/// that header means the same in either version. Whether there was none.
pub(super) fn show(request: &mut Request) -> bool {
    let Some(authority) = request.uri().authority() else { return false };
    // An authority has nothing in it that a header may not have.
    let Ok(host) = HeaderValue::from_str(authority.as_str()) else { return false };
    request.headers_mut().insert(HOST, host).is_none()
}

/// Has the target name the host that the faults left in `Host`; what was only `shown`
/// there goes again. No host, several or what can be no part of a target stay headers.
pub(super) fn settle(request: &mut Request, shown: bool) {
    if request.uri().authority().is_none() {
        return;
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let authority = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
        _ => None,
    };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    if authority.is_none() {
        parts.scheme = None;
    }
    // It stands behind what the client sent, so nothing of that changes its place.
    if shown && authority.is_some() && request.version() == Version::HTTP_2 {
        request.headers_mut().remove(HOST);
    }
    parts.authority = authority;
    // They were the parts of one before, with or without an authority.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}
