//! What is done with a request: its faults, the upstream, the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{CONNECTION, HOST};
use hyper::body::Incoming;
use sabot_toxics::http::{Answer, Body, Chain, Fault, GoAway, Request, RequestKey, Shell};

use super::body::{Down, Up, break_off};
use super::forward::{self, Over, Upgrades};
use super::session::{Session, to_http2};
use super::shell::FaultShell;
use super::stats::Seen;
use super::touched::Touched;
use super::upload::FromClient;
use super::{Error, h2c, headers, reason};

/// Answers a request, the next one of its connection.
pub(super) fn take(
    session: &Arc<Session>,
    request: http::Request<Incoming>,
) -> impl Future<Output = Result<http::Response<Down>, Error>> + use<> {
    let two = request.version() == http::Version::HTTP_2;
    let stream = if two { session.streams.next() } else { None };
    let session = Arc::clone(session);
    async move {
        let mut answer = handle(Arc::clone(&session), request, stream).await;
        // hyper is told too, but the answer may be there before it has a turn.
        if let Ok(response) = &mut answer
            && !two
            && session.shared.is_leaving()
            && response.status() != http::StatusCode::SWITCHING_PROTOCOLS
        {
            response.headers_mut().insert(CONNECTION, http::HeaderValue::from_static("close"));
        }
        answer
    }
}

async fn handle(
    session: Arc<Session>,
    mut request: http::Request<Incoming>,
    stream: Option<u32>,
) -> Result<http::Response<Down>, Error> {
    session.begin();
    if stream.is_some_and(|stream| !session.streams.take_up(stream)) {
        // The client was told so, and the connection is about to end.
        return std::future::pending().await;
    }
    let malformed = headers::fault(request.version(), request.headers());
    if malformed.is_none()
        && let Some(first) = h2c::first_frame(&request)
    {
        return Ok(to_http2(&session, &mut request, first));
    }
    let number = session.proxy.next_request();
    let version = request.version();
    let seen = Arc::new(Seen::new(&session, number, request.method().as_str(), || {
        let uri = request.uri();
        let host = || request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = uri.authority().map(http::uri::Authority::as_str).or_else(host);
        let protocol = if version == http::Version::HTTP_2 { "HTTP/2" } else { "HTTP/1.1" };
        (protocol, request.method().as_str(), host, uri.path_and_query().map_or("/", |path| path.as_str()))
    }));
    if let Some((status, text)) = malformed {
        session.proxy.count_malformed();
        let mut refused = forward::plain(status, &format!("{text}\n"));
        refused.headers_mut().insert(CONNECTION, http::HeaderValue::from_static("close"));
        return Ok(session.toxic(refused, version, seen));
    }
    if request.method() == http::Method::CONNECT {
        return Ok(session.toxic(
            forward::plain(http::StatusCode::METHOD_NOT_ALLOWED, "CONNECT is not supported\n"),
            version,
            seen,
        ));
    }
    let upgrades = headers::upgrade(request.headers())
        .filter(|_| version == http::Version::HTTP_11)
        .map(|protocol| Upgrades { protocol, client: hyper::upgrade::on(&mut request) });
    let (head, body) = request.into_parts();
    let body = FromClient::new(body, version, &head.headers, &session.proxy);
    let (_, plan) = session.shared.policy.plan();
    let chain = plan.has_http().then(|| {
        let key =
            RequestKey { number, client: session.shared.key.client, seed: session.shared.key.seed.clone() };
        let shell: Arc<dyn Shell> = Arc::new(FaultShell::new(&session, Arc::clone(&seen)));
        let touched = Touched::new(&session, &seen, forward::is_http2(&head), upgrades.clone());
        Chain::new(&plan, &key, &head, &shell, touched)
    });
    let Some(chain) = chain.flatten() else {
        let request = http::Request::from_parts(head, Up::new_client(body));
        return match forward::forward(&session, &seen, request, upgrades, Over::Kept).await {
            Ok(response) => {
                seen.answered(response.status().as_u16());
                Ok(response.map(|body| Down::upstream(body, &session.shared, version, Some(seen))))
            }
            Err(fault) => session.answer(Err(fault), version, stream, seen),
        };
    };
    let request = Request::from_parts(head, Body::new(body));
    let answer = chain.run(request).await;
    if let Err(Fault::GoAway(code)) = answer
        && let Some(stream) = stream
    {
        session.streams.leave_before(stream, code);
        session.shared.wake();
        return std::future::pending().await;
    }
    session.answer(answer, version, stream, seen)
}

impl Session {
    fn answer(
        &self,
        answer: Answer,
        version: http::Version,
        stream: Option<u32>,
        seen: Arc<Seen>,
    ) -> Result<http::Response<Down>, Error> {
        match answer {
            Ok(mut response) => {
                if let Some(GoAway(code)) = response.extensions_mut().remove() {
                    self.leave(&mut response, code, version, stream);
                }
                Ok(self.toxic(response, version, seen))
            }
            Err(Fault::Upstream { reason, message }) => {
                self.proxy.failed.count(reason);
                Ok(self.toxic(forward::failed(reason, &message), version, seen))
            }
            Err(fault) => Err(break_off(fault, &self.shared, version)),
        }
    }

    /// Has the connection end with that answer.
    fn leave(
        &self,
        answer: &mut http::Response<Body>,
        code: u32,
        version: http::Version,
        stream: Option<u32>,
    ) {
        if version != http::Version::HTTP_2 {
            answer.headers_mut().insert(CONNECTION, http::HeaderValue::from_static("close"));
            return;
        }
        match stream.filter(|_| code != 0) {
            Some(stream) => self.streams.leave_after(stream, code),
            None => self.leaving.store(true, Ordering::Relaxed),
        }
        self.shared.wake();
    }

    fn toxic(
        &self,
        response: http::Response<Body>,
        version: http::Version,
        seen: Arc<Seen>,
    ) -> http::Response<Down> {
        seen.answered(response.status().as_u16());
        let mut response = headers::bodiless(response, seen.is_head());
        reason::fit(&mut response);
        response.map(|body| Down::toxic(body, &self.shared, version, Some(seen)))
    }
}
