//! `/v1/schedules`: injections that come again.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use sabot_injections::engine::{Asked, EngineError};
use sabot_injections::request::Request;
use sabot_injections::schedule::Recurrence;
use serde::Deserialize;
use serde_json::Value;

use super::refuse::{out_of_scope, refused};
use super::wire::{Schedule, Schedules};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, Names};
use crate::security::Who;
use crate::v1::strict;

/// All schedules by name, each with its next time.
#[utoipa::path(get, path = "/v1/schedules", tag = "injections", operation_id = "list_schedules",
    responses((status = 200, body = Schedules)))]
pub(super) async fn list(State(app): State<App>) -> Json<Schedules> {
    Json(Schedules { schedules: app.engine.schedules().into_iter().map(Schedule::from).collect() })
}

/// Adds a schedule: `when` is `@every 6h`, or five fields of cron and a time zone. Its injections are asked for as who
/// adds it, and refused as theirs would be. What no proxy could have is refused now; that no proxy is meant now is a
/// `warning`, as it may come yet. One that cannot begin waits if it says `queue`, and is left out if not.
#[utoipa::path(post, path = "/v1/schedules", tag = "injections", operation_id = "add_schedule",
    request_body = ref("#/components/schemas/NewSchedule"),
    responses((status = 201, body = Schedule), (status = 409, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn add(State(app): State<App>, who: Who, Body(body): Body) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct New {
        name: String,
        when: String,
        injection: Value,
    }
    let New { name, when, injection } = strict::read(&body)?;
    let when: Recurrence = when.parse()?;
    let request = Request::read(injection).map_err(|error| error.within("injection"))?;
    let Who { actor, scope, .. } = who.or(&request.owner);
    let asked = Asked { request, actor, scope };
    let warning = app.engine.add_schedule(name.clone(), when, asked).await.map_err(refused)?;
    let all = app.engine.schedules().into_iter();
    let added = all.map(Schedule::from).find(|schedule| schedule.name == name);
    // Somebody may have removed it already.
    let mut added =
        added.ok_or_else(|| ApiError::new(StatusCode::CONFLICT, format!("{name} was removed again")))?;
    added.warning = warning;
    let location = format!("/v1/schedules/{name}");
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(added)).into_response())
}

/// Removes a schedule; what it has started goes on. It is gone also with a 500, which says that the journal does not
/// have it yet.
#[utoipa::path(delete, path = "/v1/schedules/{name}", tag = "injections", operation_id = "remove_schedule",
    params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = ApiError), (status = 500, body = ApiError),
        (status = 503, body = ApiError)))]
pub(super) async fn remove(
    State(app): State<App>,
    who: Who,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    let all = app.engine.schedules().into_iter();
    // A scoped token adds schedules of its own scope, and removes those.
    if !who.scope.is_empty()
        && let Some((schedule, _)) = all.into_iter().find(|(it, _)| it.name == name && it.scope != who.scope)
    {
        return Err(out_of_scope(&schedule.name, &who.scope));
    }
    let removed = app.engine.remove_schedule(&name, &who.actor).await;
    removed.map_err(|error| match &error {
        EngineError::NotYetJournalled(_) => {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the schedule is gone: {error}"))
        }
        _ => refused(error),
    })?;
    Ok(StatusCode::NO_CONTENT)
}
