//! `/chaos`: a fault in one call and its end in another, for scripts. The engine is the same: it ends by itself, does
//! not collide, and is written down.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use sabot_injections::engine::{Asked, Change};
use sabot_injections::event::Event;
use sabot_injections::injection::Injection;
use sabot_injections::request::{Fault, Request, Selector, Target};
use sabot_injections::rules::moment;
use sabot_toxics::Invalid;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::query::Query;
use super::refuse::refused;
use super::routes::{asked_for, may_touch};
use super::wire::{Begun, Stopped};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, Names};
use crate::security::Who;
use crate::v1::strict;

/// What stands where somebody would say what they expect.
const NO_HYPOTHESIS: &str = "None was given: it came by /chaos/inject.";

/// How long to wait for the system to be well again, in seconds, unless told.
const WAIT_S: u32 = 10;

/// Less than any answer may take.
const LONGEST_WAIT_S: u32 = 20;

/// Breaks something, for the server's default duration or `params.duration_seconds`. `target` is a service, all of its
/// proxies, or an object as in `POST /injections`; `params` are those of the fault. Only the server's standing limits
/// watch: what has to stay true, say to `POST /injections`.
#[utoipa::path(post, path = "/chaos/inject", tag = "injections", operation_id = "chaos_inject",
    request_body = ref("#/components/schemas/ChaosInject"),
    responses((status = 201, body = Begun), (status = 202, body = Begun), (status = 409, body = ApiError),
        (status = 429, body = ApiError), (status = 502, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn inject(State(app): State<App>, who: Who, Body(body): Body) -> Result<Response, ApiError> {
    let request = read(&app, &who, strict::read(&body)?)?;
    let Who { actor, scope, .. } = who;
    let asked = app.engine.inject(Asked { request, actor, scope }).await;
    let injection = asked.map_err(|error| flat(refused(error)))?;
    let begun = Begun {
        id: injection.id.clone(),
        t_start: injection.started_at_ms.map(moment),
        t_end: injection.ends_at_ms.map(moment),
        state: injection.state,
        targets: injection.targets.clone(),
        owner: injection.request.owner.clone(),
        warnings: injection.warnings.clone(),
    };
    Ok(asked_for(&injection, begun))
}

/// Takes a fault back, and waits up to `wait_seconds` for the system to be well again.
#[utoipa::path(post, path = "/chaos/revert/{id}", tag = "injections", operation_id = "chaos_revert",
    params(("id" = String, Path), ("wait_seconds" = Option<u32>, Query, minimum = 0, maximum = 20,
        description = "How long to wait until the requests through the targets are as before, 10 unless given.")),
    responses((status = 200, body = Stopped), (status = 400, body = ApiError), (status = 404, body = ApiError),
        (status = 409, body = ApiError), (status = 500, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn revert(
    State(app): State<App>,
    who: Who,
    uri: Uri,
    Names(id): Names<String>,
) -> Result<Json<Stopped>, ApiError> {
    let mut query = Query::of(&uri)?;
    let wait_s = query.number("wait_seconds", 0, LONGEST_WAIT_S)?.unwrap_or(WAIT_S);
    query.end()?;
    may_touch(&app, &who, &id)?;
    // From before: it may be well at once.
    let changes = app.engine.changes();
    let injection = app.engine.revert(&id, &who.actor).await.map_err(refused)?;
    let mttr_seconds = match is_watched(&app, &injection) {
        true => {
            let wait = Duration::from_secs(u64::from(wait_s));
            tokio::time::timeout(wait, recovered(changes, &id)).await.ok().flatten()
        }
        false => None,
    };
    Ok(Json(Stopped {
        id,
        t_stop: injection.ended_at_ms.map(moment),
        mttr_seconds,
        state: injection.state,
        reason: injection.reason,
    }))
}

/// The committed schedule of experiments, and what came of each the last time.
#[utoipa::path(get, path = "/chaos/experiments", tag = "injections", operation_id = "chaos_experiments",
    responses((status = 200, body = Object), (status = 404, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn experiments(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let Some(read) = app.options.experiments.clone() else {
        let message = "no schedule of experiments is configured: name its file as `experiments` under `injections` in the config";
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    };
    let told = tokio::task::spawn_blocking(move || read()).await;
    let told = told.unwrap_or_else(|error| Err(error.to_string()));
    told.map(Json).map_err(|error| {
        let message = format!("the schedule of experiments cannot be read any more: {error}");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    r#type: String,
    target: Value,
    params: Option<Map<String, Value>>,
}

/// As an injection, with what the server has for those parts that a script leaves out.
fn read(app: &App, who: &Who, ask: Ask) -> Result<Request, ApiError> {
    let mut params = ask.params.unwrap_or_default();
    let duration = match params.shift_remove("duration_seconds").filter(|value| !value.is_null()) {
        None => app.engine.settings().default_duration().as_secs_f64(),
        Some(value) => {
            let seconds = value.as_f64();
            seconds.ok_or_else(|| Invalid::new("params.duration_seconds", "must be a number"))?
        }
    };
    if params.contains_key("type") {
        return Err(Invalid::new("params.type", "stands beside `params`, not in it").into());
    }
    let request = Request {
        target: target(app, ask.target)?,
        fault: Fault::new(&ask.r#type, params)?,
        duration_seconds: duration,
        steady_state: None,
        hypothesis: NO_HYPOTHESIS.to_owned(),
        owner: who.actor.who.clone(),
        queue: false,
        lease_seconds: None,
    };
    request.check().map_err(|invalid| flat(invalid.into()))?;
    Ok(request)
}

/// A service, or an object; a service is all of its proxies.
fn target(app: &App, given: Value) -> Result<Target, ApiError> {
    let Value::String(service) = given else { return Ok(Target::read(Some(given))?) };
    let labels = app.controller.labels();
    let serves = labels.iter().filter(|(name, labels)| labels.get("service").unwrap_or(name) == &service);
    // Of a service that nobody serves the engine says what there is.
    let max_targets = u32::try_from(serves.count()).unwrap_or(u32::MAX).max(1);
    Ok(Target { service, selector: Selector::default(), max_targets })
}

/// A refusal in the words of these routes, where the fault is written flat.
fn flat(mut error: ApiError) -> ApiError {
    if let Some(field) = error.field.take() {
        let here = match field.as_str() {
            "duration_seconds" => "params.duration_seconds".to_owned(),
            "fault.type" => "type".to_owned(),
            other => match other.strip_prefix("fault.") {
                Some(param) => format!("params.{param}"),
                None => other.to_owned(),
            },
        };
        if let Some(rest) = error.message.strip_prefix(field.as_str()) {
            error.message = format!("{here}{rest}");
        }
        error.field = Some(here);
    }
    error
}

/// Whether it can be seen that the targets are well: only requests tell.
fn is_watched(app: &App, injection: &Injection) -> bool {
    let totals = app.controller.totals();
    injection.started_at_ms.is_some()
        && totals.iter().any(|it| it.http.is_some() && injection.targets.contains(&it.name))
}

/// How long it took to be well, once that is known.
async fn recovered(mut changes: Receiver<Change>, id: &str) -> Option<f64> {
    loop {
        match changes.recv().await {
            Ok(Change { event: Event::Recovered { id: other, seconds }, .. }) if other == id => {
                return seconds;
            }
            // What was missed may have been it: then it is not known.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
