//! Toxics on the Toxiproxy routes.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sabot_proxy::ToxicPatch;
use sabot_toxics::{Direction, Invalid, ToxicSpec};

use super::attributes;
use super::lenient::{self, Fields};
use super::refuse::{invalid_stream, invalid_type, refused};
use super::wire::Toxic;
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, Names};

/// The toxics of a proxy, the upstream chain first.
#[utoipa::path(get, path = "/proxies/{proxy}/toxics", tag = "toxiproxy",
    operation_id = "classic_list_toxics", params(("proxy" = String, Path)),
    responses((status = 200, body = Vec<Toxic>), (status = 404, body = ApiError)))]
pub(super) async fn list(
    State(app): State<App>,
    Names(proxy): Names<String>,
) -> Result<Json<Vec<Toxic>>, ApiError> {
    let proxy = app.controller.proxy(&proxy).map_err(refused)?;
    Ok(Json(proxy.toxics.iter().map(Toxic::from).collect()))
}

/// Adds a toxic at the end of its direction's chain.
#[utoipa::path(post, path = "/proxies/{proxy}/toxics", tag = "toxiproxy",
    operation_id = "classic_add_toxic", params(("proxy" = String, Path)),
    request_body = ref("#/components/schemas/ClassicNewToxic"),
    responses((status = 200, body = Toxic), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn add(
    State(app): State<App>,
    Names(proxy): Names<String>,
    Body(body): Body,
) -> Result<Json<Toxic>, ApiError> {
    app.controller.proxy(&proxy).map_err(refused)?;
    let spec = read_toxic(Fields::of(lenient::read(&body)?)?)?;
    let toxic = app.controller.add_toxic(&proxy, spec).map_err(refused)?;
    Ok(Json(Toxic::from(&toxic)))
}

/// One toxic.
#[utoipa::path(get, path = "/proxies/{proxy}/toxics/{toxic}", tag = "toxiproxy",
    operation_id = "classic_toxic", params(("proxy" = String, Path), ("toxic" = String, Path)),
    responses((status = 200, body = Toxic), (status = 404, body = ApiError)))]
pub(super) async fn show(
    State(app): State<App>,
    Names((proxy, toxic)): Names<(String, String)>,
) -> Result<Json<Toxic>, ApiError> {
    let toxic = app.controller.toxic(&proxy, &toxic).map_err(refused)?;
    Ok(Json(Toxic::from(&toxic)))
}

/// Changes the attributes that are given, and the toxicity; nothing else.
#[utoipa::path(method(post, patch), path = "/proxies/{proxy}/toxics/{toxic}", tag = "toxiproxy",
    operation_id = "classic_update_toxic", params(("proxy" = String, Path), ("toxic" = String, Path)),
    request_body = ref("#/components/schemas/ClassicToxicPatch"),
    responses((status = 200, body = Toxic), (status = 404, body = ApiError)))]
pub(super) async fn update(
    State(app): State<App>,
    Names((proxy, toxic)): Names<(String, String)>,
    Body(body): Body,
) -> Result<Json<Toxic>, ApiError> {
    let kind = app.controller.toxic(&proxy, &toxic).map_err(refused)?.kind;
    let mut fields = Fields::of(lenient::read(&body)?)?;
    let attributes = fields.object("attributes")?;
    let patch = ToxicPatch {
        attributes: attributes.map(|given| attributes::read(kind, given)).transpose()?,
        toxicity: toxicity(&mut fields)?,
        when: None,
    };
    let toxic = app.controller.update_toxic(&proxy, &toxic, patch).map_err(refused)?;
    Ok(Json(Toxic::from(&toxic)))
}

/// Removes a toxic; what it held goes on at once.
#[utoipa::path(delete, path = "/proxies/{proxy}/toxics/{toxic}", tag = "toxiproxy",
    operation_id = "classic_remove_toxic", params(("proxy" = String, Path), ("toxic" = String, Path)),
    responses((status = 204), (status = 404, body = ApiError)))]
pub(super) async fn remove(
    State(app): State<App>,
    Names((proxy, toxic)): Names<(String, String)>,
) -> Result<StatusCode, ApiError> {
    app.controller.remove_toxic(&proxy, &toxic).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn read_toxic(mut fields: Fields) -> Result<ToxicSpec, ApiError> {
    let (name, kind) = (fields.string("name")?, fields.string("type")?.unwrap_or_default());
    let (stream, alias) = (fields.string("stream")?, fields.string("direction")?);
    let toxicity = toxicity(&mut fields)?;
    let given = fields.object("attributes")?.unwrap_or_default();

    let stream = match stream.or(alias).unwrap_or_default().to_ascii_lowercase().as_str() {
        "upstream" => Direction::Upstream,
        "downstream" | "" => Direction::Downstream,
        _ => return Err(invalid_stream()),
    };
    let kind = sabot_toxics::kind(&kind).ok_or_else(invalid_type)?;
    let attributes = attributes::read(kind, given)?;
    let mut spec = ToxicSpec::new(kind, stream, &attributes).map_err(refused_setting)?;
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        spec.name = name;
    }
    spec.toxicity = toxicity.unwrap_or(1.0);
    if let Some(when) = fields.take("when") {
        spec.when = sabot_toxics::read_when(when).map_err(refused_setting)?;
    }
    spec.validate().map_err(refused_setting)?;
    Ok(spec)
}

/// Percents (80) are taken and shown again as they came: clients compare.
fn toxicity(fields: &mut Fields) -> Result<Option<f64>, ApiError> {
    let given = fields.number("toxicity")?;
    if given.is_some_and(|given| given < 0.0) {
        return Err(refused_setting(Invalid::new("toxicity", "must not be negative")));
    }
    Ok(given)
}

fn refused_setting(invalid: Invalid) -> ApiError {
    refused(sabot_proxy::ControlError::Invalid(invalid))
}
