//! Who may, by token; without [`ApiOptions::access`](crate::ApiOptions::access) everybody may everything.
//!
//! | module | what is in it |
//! |---|---|
//! | [`routes`] | what each route takes: the one table |
//! | `credentials` | the token in a request |
//! | `reach` | whether what a request changes is in the token's scope |
//! | `failures` | how often somebody may fail to show a token |
//! | `refusals` | what was refused, for the audit |

mod credentials;
mod failures;
mod reach;
mod refusals;
pub(crate) mod routes;

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use sabot_injections::access::role::Need;
use sabot_injections::access::{Access, AccessError};
use sabot_injections::engine::Engine;
use sabot_injections::event::Actor;

use super::{Peer, Who};
use crate::app::App;
use crate::error::ApiError;
use credentials::Shown;
use failures::Failures;
use reach::Reach;
pub(crate) use reach::allows;
use refusals::Refusals;
use routes::Takes;

/// Who is not known by a token, as the audit names them.
const UNKNOWN: &str = "unknown";

/// What stands between requests and routes.
pub(crate) struct Gate {
    access: Access,
    failures: Failures,
    refusals: Refusals,
}

impl Gate {
    pub(crate) fn new(access: Access, engine: Engine) -> Self {
        engine.ask_for_tokens(access.clone());
        Self { access, failures: Failures::new(), refusals: Refusals::new(engine) }
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }
}

/// Lets a request pass that its token is good for, with who sends it.
pub(crate) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(gate) = app.gate.as_ref() else { return next.run(request).await };
    let (mut parts, body) = request.into_parts();
    let path = parts.extensions.get::<MatchedPath>().cloned();
    let takes = routes::takes(&parts.method, path.as_ref().map(MatchedPath::as_str));
    let Takes::Role(need, reach) = takes else { return next.run(Request::from_parts(parts, body)).await };
    match judge(gate, &app, &mut parts, need, reach).await {
        Ok(who) => {
            parts.extensions.insert(who);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(mut refused) => {
            if let Some(actor) = refused.audited.take() {
                let what = format!("{} {}", parts.method, parts.uri.path());
                gate.refusals.note(actor, &what, &refused.error.message);
            }
            refused.response()
        }
    }
}

/// Why a request does not pass.
struct Refused {
    error: ApiError,
    /// Who asked; none if it is no refusal but a failure of the server.
    audited: Option<Actor>,
    retry_after: Option<Duration>,
}

impl Refused {
    fn response(self) -> Response {
        let unauthorized = self.error.status == StatusCode::UNAUTHORIZED;
        let mut response = self.error.into_response();
        if unauthorized {
            for way in [r#"Bearer realm="sabot""#, r#"Basic realm="sabot""#] {
                response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(way));
            }
        }
        if let Some(span) = self.retry_after {
            let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// Who sends a request, if it may pass.
async fn judge(
    gate: &Gate,
    app: &App,
    parts: &mut Parts,
    need: Need,
    reach: Reach,
) -> Result<Who, Box<Refused>> {
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.to_canonical());
    let from = peer.map(|peer| peer.to_string()).unwrap_or_default();
    let stranger = |reason: String| Err(gate.stranger(peer, Actor::new(UNKNOWN, from.clone()), reason));
    let shown = match credentials::shown(&parts.headers) {
        Shown::Token(token) => token,
        Shown::Nothing => {
            return stranger(
                "a token is needed: send `Authorization: Bearer TOKEN`, or it as the password of Basic; whoever \
                 runs the server makes one with `sabot token create`"
                    .to_owned(),
            );
        }
        Shown::Unreadable(reason) => return stranger(format!("the Authorization header {reason}")),
    };
    let token = match gate.access.look_up(&shown) {
        Ok(Ok(token)) => token,
        Ok(Err(worthless)) => return stranger(worthless.to_string()),
        Err(error) => {
            return Err(Box::new(Refused { error: failed(&error), audited: None, retry_after: None }));
        }
    };
    let actor = Actor::new(token.owner, from);
    let forbidden = |reason: String| {
        let error = ApiError::forbidden(reason);
        Err(Box::new(Refused { error, audited: Some(actor.clone()), retry_after: None }))
    };
    if !token.role.may(need) {
        let (role, wanted, who) = (token.role, need.role(), &actor.who);
        return forbidden(format!(
            "this takes the role {wanted}, and this token of {who} has the role {role}"
        ));
    }
    let names = RawPathParams::from_request_parts(parts, &()).await.ok();
    let alone = token.role.may(Need::Administer);
    let fine = reach::check(app, &token.scope, reach, names.as_ref());
    let fine =
        fine.and_then(|()| if alone { Ok(()) } else { reach::check_alone(app, reach, names.as_ref()) });
    match fine {
        Ok(()) => Ok(Who { actor, scope: token.scope, token: Some(token.id) }),
        Err(outside) => forbidden(outside),
    }
}

impl Gate {
    /// Refuses one who shows no good token; a good one passes however often its neighbours have failed.
    ///
    /// Nobody guesses 256 random bits, at any rate: the limit is there to stop what was set up wrongly from
    /// asking on and on, and must not keep whoever shares its address from ending a fault.
    fn stranger(&self, peer: Option<IpAddr>, actor: Actor, reason: String) -> Box<Refused> {
        match self.failures.count(peer) {
            Ok(()) => {
                let error = ApiError::new(StatusCode::UNAUTHORIZED, reason);
                Box::new(Refused { error, audited: Some(actor), retry_after: None })
            }
            Err(span) => {
                let message =
                    "too many requests without a good token came from there: correct what sends them";
                let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, message);
                Box::new(Refused { error, audited: Some(actor), retry_after: Some(span) })
            }
        }
    }
}

/// What tokens cannot be had for, as an answer; nobody passes then.
pub(crate) fn failed(error: &AccessError) -> ApiError {
    match error {
        AccessError::Invalid(invalid) => invalid.clone().into(),
        AccessError::NotFound(_) => ApiError::new(StatusCode::NOT_FOUND, error.to_string()),
        AccessError::NoChance(_) | AccessError::Journal(_) => {
            tracing::error!(%error, "tokens cannot be had");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "tokens cannot be had now: see the server's log")
        }
    }
}
