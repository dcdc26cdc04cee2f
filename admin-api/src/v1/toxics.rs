//! Toxics on Sabot's own routes.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sabot_proxy::{ControlError, ToxicPatch};
use sabot_toxics::{Invalid, ToxicSpec, When};
use serde_json::Value;

use super::refuse::refused;
use super::strict;
use super::wire::{PatchToxic, Toxic, Toxics, in_order};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, Names};

/// The toxics of a proxy, the upstream chain first; in each chain those of injections last.
#[utoipa::path(get, path = "/v1/proxies/{proxy}/toxics", tag = "sabot", operation_id = "list_toxics",
    params(("proxy" = String, Path)),
    responses((status = 200, body = Toxics), (status = 404, body = ApiError)))]
pub(super) async fn list(
    State(app): State<App>,
    Names(proxy): Names<String>,
) -> Result<Json<Toxics>, ApiError> {
    let proxy = app.controller.proxy(&proxy).map_err(refused)?;
    Ok(Json(Toxics { toxics: in_order(proxy.toxics, proxy.injected) }))
}

/// Adds a toxic at the end of its direction's chain.
#[utoipa::path(post, path = "/v1/proxies/{proxy}/toxics", tag = "sabot", operation_id = "add_toxic",
    params(("proxy" = String, Path)), request_body = ref("#/components/schemas/NewToxic"),
    responses((status = 201, body = Toxic), (status = 400, body = ApiError),
        (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn add(
    State(app): State<App>,
    Names(proxy): Names<String>,
    Body(body): Body,
) -> Result<(StatusCode, Json<Toxic>), ApiError> {
    let spec: ToxicSpec = strict::read(&body)?;
    let toxic = app.controller.add_toxic(&proxy, spec).map_err(refused)?;
    Ok((StatusCode::CREATED, Json(toxic.into())))
}

/// One toxic: that which people or clients set under that name, else that of an injection.
#[utoipa::path(get, path = "/v1/proxies/{proxy}/toxics/{toxic}", tag = "sabot", operation_id = "toxic",
    params(("proxy" = String, Path), ("toxic" = String, Path)),
    responses((status = 200, body = Toxic), (status = 404, body = ApiError)))]
pub(super) async fn show(
    State(app): State<App>,
    Names((proxy, toxic)): Names<(String, String)>,
) -> Result<Json<Toxic>, ApiError> {
    let shown = match app.controller.toxic(&proxy, &toxic) {
        Err(ControlError::Injected { .. }) => app.controller.injected(&proxy, &toxic),
        set => set,
    };
    Ok(Json(shown.map_err(refused)?.into()))
}

/// Changes the fields that are given; a refused patch changes nothing. What an injection owns
/// is not changed here (409).
#[utoipa::path(patch, path = "/v1/proxies/{proxy}/toxics/{toxic}", tag = "sabot", operation_id = "update_toxic",
    params(("proxy" = String, Path), ("toxic" = String, Path)), request_body = PatchToxic,
    responses((status = 200, body = Toxic), (status = 400, body = ApiError), (status = 404, body = ApiError),
        (status = 409, body = ApiError)))]
pub(super) async fn update(
    State(app): State<App>,
    Names((proxy, toxic)): Names<(String, String)>,
    Body(body): Body,
) -> Result<Json<Toxic>, ApiError> {
    let given: PatchToxic = strict::read(&body)?;
    if given.toxicity.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        return Err(Invalid::new("toxicity", "must lie between 0 and 1").into());
    }
    let when = match given.when {
        None => None,
        Some(changes) => {
            let old = app.controller.toxic(&proxy, &toxic).map_err(refused)?.when;
            Some(sabot_toxics::read_when(merged(&old, changes))?)
        }
    };
    let patch = ToxicPatch { attributes: given.attributes, toxicity: given.toxicity, when };
    Ok(Json(app.controller.update_toxic(&proxy, &toxic, patch).map_err(refused)?.into()))
}

/// Removes a toxic; what it held goes on at once. What an injection owns ends with it (409).
#[utoipa::path(delete, path = "/v1/proxies/{proxy}/toxics/{toxic}", tag = "sabot", operation_id = "remove_toxic",
    params(("proxy" = String, Path), ("toxic" = String, Path)),
    responses((status = 204), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn remove(
    State(app): State<App>,
    Names((proxy, toxic)): Names<(String, String)>,
) -> Result<StatusCode, ApiError> {
    app.controller.remove_toxic(&proxy, &toxic).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Conditions with `changes` laid over them; `null` takes one away. Anything but an
/// object is left for the reader to refuse.
fn merged(old: &When, changes: Value) -> Value {
    let (Value::Object(changes), Ok(Value::Object(mut all))) = (&changes, serde_json::to_value(old)) else {
        return changes;
    };
    for (name, value) in changes {
        match value {
            Value::Null => drop(all.remove(name)),
            value => drop(all.insert(name.clone(), value.clone())),
        }
    }
    Value::Object(all)
}
