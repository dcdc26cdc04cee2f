//! A request to the upstream and its answer back.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderValue, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use sabot_toxics::http::matching::is_grpc;
use sabot_toxics::http::{Body, Dialled, Fault, Response, Tunnel};

use super::ahead::Ahead;
use super::body::{Answered, Up, reason};
use super::expect::Gate;
use super::headers;
use super::pool::{self, Lease, Unreached};
use super::session::Session;
use super::stats::Seen;
use super::tunnel;
use crate::connection::dial_reason;
use crate::net::Monotonic;
use crate::net::timers::{monotonic_now, within};

/// A change of protocol that the client asks for.
#[derive(Clone)]
pub(super) struct Upgrades {
    pub(super) protocol: HeaderValue,
    pub(super) client: OnUpgrade,
}

/// Over what a request goes up.
pub(super) enum Over {
    /// A connection that others use as well, before or after.
    Kept,
    /// One of its own, since a fault has touched it; perhaps it is there already.
    Own(Option<Ahead>),
}

/// Sends a request up and waits for the head of its answer.
///
/// HTTP/1.1 to the upstream, but for gRPC, which there is over HTTP/2 only.
pub(super) async fn forward(
    session: &Arc<Session>,
    seen: &Seen,
    request: http::Request<Up>,
    upgrades: Option<Upgrades>,
    over: Over,
) -> Result<http::Response<Answered>, Fault> {
    let (mut head, body) = request.into_parts();
    let two = is_http2(&head);
    let sent = monotonic_now();
    headers::strip(&mut head.headers);
    let mut response = if two {
        head.version = Version::HTTP_2;
        session.changes.apply(&mut head);
        session.set_scheme(&mut head.uri);
        if head.uri.authority().is_none() {
            // A fault took the host away: h2 sends none only on behalf of HTTP/1.
            head.version = Version::HTTP_11;
        }
        send_http2(session, http::Request::from_parts(head, body), over).await?
    } else {
        to_origin(&mut head, &session.shared.upstream)?;
        session.changes.apply(&mut head);
        if let Some(upgrades) = &upgrades {
            head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(UPGRADE, upgrades.protocol.clone());
        }
        let mut request = http::Request::from_parts(head, body);
        headers::frame(&mut request);
        send_http1(session, request, upgrades.is_some(), over).await?
    };
    seen.upstream(sent);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(upgrades) = upgrades
    {
        let faults = Tunnel::default();
        response.extensions_mut().insert(faults.clone());
        let ends = (upgrades.client, hyper::upgrade::on(&mut response));
        session.tunnel(tunnel::pass(session.tunnel_of(), ends, faults));
        return Ok(response);
    }
    headers::strip(response.headers_mut());
    headers::no_content(&mut response);
    Ok(response)
}

/// Whether a request with that head goes up over HTTP/2: gRPC, which there is over nothing else.
pub(super) fn is_http2(head: &Parts) -> bool {
    head.version == Version::HTTP_2 && is_grpc(&head.headers)
}

/// Brings a request into the form that an origin server wants (RFC 9112, section 3.2.1).
fn to_origin(head: &mut Parts, upstream: &str) -> Result<(), Fault> {
    let old = head.version < Version::HTTP_11;
    if head.version == Version::HTTP_2 {
        headers::join_cookies(&mut head.headers);
    }
    head.version = Version::HTTP_11;
    let malformed = |error: &dyn std::fmt::Display| Fault::Upstream {
        reason: "request",
        message: format!("the request cannot be passed on: {error}"),
    };
    if let Some(authority) = head.uri.authority() {
        let host = HeaderValue::try_from(authority.as_str()).map_err(|error| malformed(&error))?;
        head.headers.insert(HOST, host);
        let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        head.uri = Uri::from(path);
    } else if old && !head.headers.contains_key(HOST) {
        // Only HTTP/1.0 does without, and it goes up as HTTP/1.1. A Unix socket has no name.
        let name = if upstream.contains('/') { "" } else { upstream };
        head.headers.insert(HOST, HeaderValue::try_from(name).map_err(|error| malformed(&error))?);
    }
    Ok(())
}

async fn send_http1(
    session: &Session,
    mut request: http::Request<Up>,
    upgrades: bool,
    over: Over,
) -> Result<http::Response<Answered>, Fault> {
    let upstream = &session.shared.upstream;
    let waits = monotonic_now();
    let gate = Gate::of(request.headers());
    if let Some(gate) = &gate {
        gate.watch(&mut request);
    }
    let fresh = upgrades || !matches!(over, Over::Kept);
    let mut reused = match over {
        Over::Own(Some(ahead)) => ahead.http1().await?,
        _ if fresh => None,
        _ => session.pool.any(upstream).await,
    };
    loop {
        let before = reused.is_some();
        // Nobody has used a connection of its own before: what breaks it is the request.
        let mut copy = if before && !fresh { again(&request) } else { None };
        let mut sender = match reused.take() {
            Some(sender) => sender,
            None => {
                let tied = upgrades.then_some(&session.shared);
                reach(session, pool::connect_http1(&session.upstream, session.originator(), tied)).await?
            }
        };
        let dialled = fresh.then(|| Dialled(monotonic_now().saturating_since(waits)));
        if let Some(gate) = &gate {
            request.body_mut().hold(Arc::clone(gate));
        }
        let sent = request.body().sent();
        match sender.try_send_request(request).await {
            Ok(mut response) => {
                if let Some(gate) = &gate {
                    gate.answered();
                }
                if let Some(dialled) = dialled {
                    response.extensions_mut().insert(dialled);
                }
                let keep = !fresh && response.status() != StatusCode::SWITCHING_PROTOCOLS;
                let (pool, upstream) = (Arc::clone(&session.pool), Arc::clone(upstream));
                let lease = keep.then_some(Lease { pool, sender, upstream, sent });
                return Ok(response.map(|body| Answered { body, lease, gate }));
            }
            Err(mut error) => match (error.take_message(), copy.take()) {
                // The upstream had closed it meanwhile; nothing was sent.
                (Some(back), _) if before => {
                    request = back;
                    reused = if fresh { None } else { session.pool.any(upstream).await };
                }
                // It closed it while the request was on its way.
                (_, Some(copy)) if !error.error().is_parse() => request = copy,
                _ => return Err(fault(error.error())),
            },
        }
    }
}

/// A copy of a request that may be sent again if a connection used before breaks: the
/// method is idempotent (RFC 9110, section 9.2.2) and there is no body.
fn again(request: &http::Request<Up>) -> Option<http::Request<Up>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = http::Request::new(Up::nothing());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

async fn send_http2(
    session: &Session,
    mut request: http::Request<Up>,
    over: Over,
) -> Result<http::Response<Answered>, Fault> {
    let upstream = &session.shared.upstream;
    let waits = monotonic_now();
    let fresh = !matches!(over, Over::Kept);
    let mut ahead = match over {
        Over::Own(Some(ahead)) => ahead.http2().await?,
        _ => None,
    };
    loop {
        let shared = if fresh { ahead.take() } else { session.pool.shared(upstream) };
        let before = shared.is_some();
        let mut sender = match shared {
            Some(sender) => {
                if !fresh {
                    session.pool.stats.reused();
                }
                sender
            }
            None => {
                let sender =
                    reach(session, pool::connect_http2(&session.upstream, session.originator())).await?;
                if !fresh {
                    session.pool.share(upstream, &sender);
                }
                sender
            }
        };
        let dialled = fresh.then(|| Dialled(monotonic_now().saturating_since(waits)));
        match sender.try_send_request(request).await {
            Ok(mut response) => {
                if let Some(dialled) = dialled {
                    response.extensions_mut().insert(dialled);
                }
                return Ok(response.map(|body: Incoming| Answered { body, lease: None, gate: None }));
            }
            Err(mut error) => match error.take_message() {
                // The upstream had closed it meanwhile; nothing was sent.
                Some(back) if before => request = back,
                _ => return Err(fault(error.error())),
            },
        }
    }
}

/// Waits for a connection to the upstream, as long as a dial may take.
pub(super) async fn reach<T>(
    session: &Session,
    connecting: impl Future<Output = Result<T, Unreached>>,
) -> Result<T, Fault> {
    let began = monotonic_now();
    match within(&mut Monotonic::default(), began + session.dial_timeout, connecting).await {
        Some(Ok(sender)) => {
            let took = monotonic_now().saturating_since(began);
            crate::metrics::dialled(&session.proxy.name, took);
            session.pool.took(took);
            Ok(sender)
        }
        Some(Err(Unreached::Dial(error))) => {
            Err(Fault::Upstream { reason: dial_reason(&error), message: error.to_string() })
        }
        Some(Err(Unreached::Tls(error))) => {
            Err(Fault::Upstream { reason: "upstream_tls", message: error.to_string() })
        }
        Some(Err(Unreached::Handshake(error))) => Err(fault(&error)),
        None => Err(Fault::Upstream {
            reason: "timeout",
            message: "the upstream did not accept in time".to_owned(),
        }),
    }
}

fn fault(error: &hyper::Error) -> Fault {
    if let Some(code) = reason(error) {
        return Fault::Reset(code);
    }
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let reason = match error {
        // The client's body broke off, or is none.
        error if error.is_user() => "request",
        error if error.is_parse() => "response",
        // As when it refuses a client without a certificate, once TLS 1.3 is up.
        error if is_tls(error) => "upstream_tls",
        _ => "reset",
    };
    Fault::Upstream { reason, message }
}

/// Whether TLS broke off: by an alert, or as its records were none.
fn is_tls(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(inner) = inner
            && inner.is::<rustls::Error>()
        {
            return true;
        }
        source = cause.source();
    }
    false
}

/// What the client gets when the upstream was not reached: 502, or 504 after a time
/// limit, and what happened.
pub(super) fn failure(reason: &'static str, message: &str) -> (StatusCode, String) {
    let status = match reason {
        "timeout" => StatusCode::GATEWAY_TIMEOUT,
        "request" => StatusCode::BAD_REQUEST,
        _ => StatusCode::BAD_GATEWAY,
    };
    (status, format!("sabot: {reason}: {message}\n"))
}

/// The same as an answer; `x-sabot-error` tells it from one of the upstream.
pub(super) fn failed(reason: &'static str, message: &str) -> Response {
    let (status, text) = failure(reason, message);
    let mut response = plain(status, &text);
    response.headers_mut().insert("x-sabot-error", HeaderValue::from_static(reason));
    response
}

/// An answer of Sabot's own.
pub(super) fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::full(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
