//! `/injections`: asked for, approved, renewed, taken back.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{StatusCode, Uri};
use sabot_injections::book::Refusal;
use sabot_injections::engine::{self, Asked, EngineError};
use sabot_injections::injection::{self, State as Stage};
use sabot_injections::request::{Labels, Request};
use sabot_toxics::Invalid;
use serde::Deserialize;
use serde_json::Value;

use super::audit;
use super::query::Query;
use super::refuse::{out_of_scope, refused};
use super::wire::{Halted, Injection, Injections};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, Names};
use crate::security::Who;
use crate::v1::strict;

/// As many as a listing has unless it is told.
const LISTED: u32 = 100;

/// A listing has no more: all that the engine remembers.
const MOST_LISTED: u32 = 20_000;

/// Those that are not over, the oldest first, then those that are, the newest first.
#[utoipa::path(get, path = "/injections", tag = "injections", operation_id = "list_injections",
    params(("state" = Option<super::wire::StateName>, Query, description = "Only those in this state."),
        ("service" = Option<String>, Query, description = "Only those that ask for this service."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 20_000, description = "So many at most, 100 unless given.")),
    responses((status = 200, body = Injections), (status = 400, body = ApiError)))]
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Json<Injections>, ApiError> {
    let mut query = Query::of(&uri)?;
    let state = query.text("state").map(|text| stage(&text)).transpose()?;
    let service = query.text("service");
    let limit = query.number("limit", 1, MOST_LISTED)?.unwrap_or(LISTED);
    query.end()?;
    let meant = |it: &injection::Injection| {
        state.is_none_or(|state| it.state == state)
            && service.as_ref().is_none_or(|service| it.request.target.service == *service)
    };
    let mut all: Vec<_> = app.engine.injections().into_iter().filter(meant).collect();
    let more = all.len().saturating_sub(limit as usize);
    all.truncate(limit as usize);
    let injections = all.into_iter().map(Injection::from).collect();
    let (trouble, unread) = (app.engine.trouble(), app.engine.is_unread());
    Ok(Json(Injections { injections, more, trouble, unread }))
}

/// Breaks something: what, how, for how long, what has to stay true meanwhile, what is expected, and whom to ask.
/// The fault is on when this is answered with 201; 202 is one that waits for its approval (`pending`) or its turn
/// (`approved`).
#[utoipa::path(post, path = "/injections", tag = "injections", operation_id = "inject",
    request_body = ref("#/components/schemas/NewInjection"),
    responses((status = 201, body = Injection), (status = 202, body = Injection), (status = 400, body = ApiError),
        (status = 409, body = ApiError), (status = 429, body = ApiError), (status = 502, body = ApiError),
        (status = 503, body = ApiError)))]
pub(super) async fn inject(State(app): State<App>, who: Who, Body(body): Body) -> Result<Response, ApiError> {
    let request = Request::read(strict::read::<Value>(&body)?)?;
    let Who { actor, scope, .. } = who.or(&request.owner);
    let injection = app.engine.inject(Asked { request, actor, scope }).await.map_err(refused)?;
    Ok(asked_for(&injection, Injection::from(injection.clone())))
}

/// The answer to who asked for an injection.
pub(super) fn asked_for<T: serde::Serialize>(injection: &injection::Injection, body: T) -> Response {
    let waits = matches!(injection.state, Stage::Pending | Stage::Approved);
    let status = if waits { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    (status, [(LOCATION, format!("/injections/{}", injection.id))], Json(body)).into_response()
}

/// One injection, however long it is over.
#[utoipa::path(get, path = "/injections/{id}", tag = "injections", operation_id = "injection",
    params(("id" = String, Path)),
    responses((status = 200, body = Injection), (status = 404, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn show(
    State(app): State<App>,
    Names(id): Names<String>,
) -> Result<Json<Injection>, ApiError> {
    let injection = match app.engine.known(&id) {
        Ok(known) => known,
        Err(_) => audit::ask(&app, move |engine| engine.injection(&id)).await?.map_err(refused)?,
    };
    Ok(Json(injection.into()))
}

/// Takes an injection back. The fault is off when this is answered, also with a 500, which says that the journal
/// does not have it yet. While the journal cannot be read what was on before is not known: that is a 503.
#[utoipa::path(delete, path = "/injections/{id}", tag = "injections", operation_id = "revert_injection",
    params(("id" = String, Path)),
    responses((status = 200, body = Injection), (status = 404, body = ApiError), (status = 409, body = ApiError),
        (status = 500, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn revert(
    State(app): State<App>,
    who: Who,
    Names(id): Names<String>,
) -> Result<Json<Injection>, ApiError> {
    may_touch(&app, &who, &id)?;
    Ok(Json(app.engine.revert(&id, &who.actor).await.map_err(refused)?.into()))
}

/// Takes all injections back, at once, those that wait as well; with a scoped token, all that lie in its scope.
/// While the journal cannot be read what was on before is not known: that is a 503, and says whether it comes back.
#[utoipa::path(post, path = "/injections/halt", tag = "injections", operation_id = "halt",
    responses((status = 200, body = Halted), (status = 400, body = ApiError), (status = 500, body = ApiError),
        (status = 503, body = ApiError)))]
pub(super) async fn halt(
    State(app): State<App>,
    who: Who,
    uri: Uri,
    Body(body): Body,
) -> Result<Json<Halted>, ApiError> {
    Query::of(&uri)?.end()?;
    // Who names one does not mean all.
    if !matches!(body.trim_ascii(), b"" | b"{}" | b"null") {
        let message = "must be empty: this takes all injections back, `DELETE /injections/{id}` takes one";
        return Err(Invalid::new("", message).into());
    }
    let engine::Halted { reverted, out_of_scope } =
        app.engine.halt(&who.actor, &who.scope).await.map_err(refused)?;
    Ok(Json(Halted { reverted, out_of_scope }))
}

/// A second person approves an injection that waits for it. Who that is their token says; where there are no tokens
/// the body does (`{"approver": "bob@example.com"}`), and is believed.
#[utoipa::path(post, path = "/injections/{id}/approve", tag = "injections", operation_id = "approve_injection",
    params(("id" = String, Path)), request_body = ref("#/components/schemas/Approval"),
    responses((status = 200, body = Injection), (status = 404, body = ApiError), (status = 409, body = ApiError),
        (status = 502, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn approve(
    State(app): State<App>,
    mut who: Who,
    Names(id): Names<String>,
    Body(body): Body,
) -> Result<Json<Injection>, ApiError> {
    let named = approver(&body)?;
    match named {
        Some(named) if who.token.is_some() && named != who.actor.who => {
            let message = format!("the token is that of {}: leave this out", who.actor.who);
            return Err(Invalid::new("approver", message).into());
        }
        Some(named) if who.token.is_none() => who = who.named(&named)?,
        None if who.is_anonymous() => {
            return Err(Invalid::new("approver", "is missing: name the second person").into());
        }
        _ => {}
    }
    may_touch(&app, &who, &id)?;
    let approved = app.engine.approve(&id, &who.actor).await.map_err(|error| {
        let is_same = matches!(error, EngineError::Refused(Refusal::SamePerson { .. }));
        let mut answer = refused(error);
        if is_same && who.token.is_some() {
            answer.message += ", with a token of their own";
        }
        answer
    })?;
    Ok(Json(approved.into()))
}

fn approver(body: &[u8]) -> Result<Option<String>, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Approval {
        approver: Option<String>,
    }
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    Ok(strict::read::<Approval>(body)?.approver)
}

/// The client of an injection with `lease_seconds` is still there: its lease begins anew.
#[utoipa::path(post, path = "/injections/{id}/renew", tag = "injections", operation_id = "renew_injection",
    params(("id" = String, Path)),
    responses((status = 200, body = Injection), (status = 400, body = ApiError), (status = 404, body = ApiError),
        (status = 409, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn renew(
    State(app): State<App>,
    who: Who,
    Names(id): Names<String>,
) -> Result<Json<Injection>, ApiError> {
    may_touch(&app, &who, &id)?;
    Ok(Json(app.engine.renew(&id).map_err(refused)?.into()))
}

/// Whether all that an injection hits lies in the scope of who asks.
pub(super) fn may_touch(app: &App, who: &Who, id: &str) -> Result<(), ApiError> {
    if who.scope.is_empty() {
        return Ok(());
    }
    let labels: std::collections::BTreeMap<_, _> = app.controller.labels().into_iter().collect();
    let targets = app.engine.known(id).map_err(refused)?.targets;
    let none = Labels::new();
    let outside = targets.iter().find(|target| !who.scope.meets(labels.get(*target).unwrap_or(&none)));
    outside.map_or(Ok(()), |proxy| Err(out_of_scope(proxy, &who.scope)))
}

fn stage(text: &str) -> Result<Stage, Invalid> {
    let all = super::wire::STATES;
    let found = all.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| {
        let hint = sabot_toxics::suggestion(text, &all.map(Stage::as_str));
        Invalid::new("state", format!("there is no state `{text}`{hint}"))
    })
}
