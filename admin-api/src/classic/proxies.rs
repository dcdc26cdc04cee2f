//! Proxies on the Toxiproxy routes.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sabot_proxy::{Protocol, ProxyPatch, ProxySpec, ProxyView, TlsSpec};
use serde_json::Value;

use super::lenient::{self, Fields};
use super::refuse::{missing, refused};
use super::wire::{Populated, Proxy};
use crate::app::{App, finish};
use crate::error::ApiError;
use crate::extract::{Body, Names};

/// All proxies with their toxics, by name.
#[utoipa::path(get, path = "/proxies", tag = "toxiproxy", operation_id = "classic_list_proxies",
    responses((status = 200, body = BTreeMap<String, Proxy>)))]
pub(super) async fn list(State(app): State<App>) -> Json<BTreeMap<String, Proxy>> {
    let entry = |proxy: &ProxyView| (proxy.name.clone(), Proxy::from(proxy));
    Json(app.controller.list().iter().map(entry).collect())
}

/// Creates a proxy.
#[utoipa::path(post, path = "/proxies", tag = "toxiproxy", operation_id = "classic_create_proxy",
    request_body = ref("#/components/schemas/ClassicNewProxy"),
    responses((status = 201, body = Proxy), (status = 409, body = ApiError)))]
pub(super) async fn create(
    State(app): State<App>,
    Body(body): Body,
) -> Result<(StatusCode, Json<Proxy>), ApiError> {
    let spec = read_proxy(lenient::read(&body)?, "")?;
    let created = finish(async move { app.controller.create(spec).await }).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(Proxy::from(&created))))
}

/// Makes these proxies exist: all or none. One that has the same addresses
/// already is left as it is, toxics included.
#[utoipa::path(post, path = "/populate", tag = "toxiproxy", operation_id = "classic_populate",
    request_body = ref("#/components/schemas/ClassicPopulate"),
    responses((status = 201, body = Populated)))]
pub(super) async fn populate(
    State(app): State<App>,
    Body(body): Body,
) -> Result<(StatusCode, Json<Populated>), ApiError> {
    let entries = match lenient::read(&body)? {
        Value::Array(entries) => entries,
        Value::Null => Vec::new(),
        _ => return Err(lenient::bad("expected an array of proxies")),
    };
    let numbered = entries.into_iter().zip(1_u64..);
    let specs = numbered.map(|(entry, number)| read_proxy(entry, &format!(" at proxy {number}")));
    let specs = specs.collect::<Result<Vec<_>, _>>()?;
    let views = finish(async move { app.controller.populate(specs).await }).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(Populated { proxies: views.iter().map(Proxy::from).collect() })))
}

/// Enables every proxy and removes every toxic.
#[utoipa::path(post, path = "/reset", tag = "toxiproxy", operation_id = "classic_reset",
    responses((status = 204)))]
pub(super) async fn reset(State(app): State<App>) -> Result<StatusCode, ApiError> {
    finish(async move { app.controller.reset().await }).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// One proxy with its toxics.
#[utoipa::path(get, path = "/proxies/{proxy}", tag = "toxiproxy", operation_id = "classic_proxy",
    params(("proxy" = String, Path)),
    responses((status = 200, body = Proxy), (status = 404, body = ApiError)))]
pub(super) async fn show(
    State(app): State<App>,
    Names(name): Names<String>,
) -> Result<Json<Proxy>, ApiError> {
    let proxy = app.controller.proxy(&name).map_err(refused)?;
    Ok(Json(Proxy::from(&proxy)))
}

/// Changes the fields that are given. A changed address restarts the proxy.
#[utoipa::path(method(post, patch), path = "/proxies/{proxy}", tag = "toxiproxy",
    operation_id = "classic_update_proxy", params(("proxy" = String, Path)),
    request_body = ref("#/components/schemas/ClassicProxyPatch"),
    responses((status = 200, body = Proxy), (status = 404, body = ApiError)))]
pub(super) async fn update(
    State(app): State<App>,
    Names(name): Names<String>,
    Body(body): Body,
) -> Result<Json<Proxy>, ApiError> {
    app.controller.proxy(&name).map_err(refused)?;
    let mut fields = Fields::of(lenient::read(&body)?)?;
    let patch = ProxyPatch {
        listen: fields.string("listen")?,
        upstream: fields.string("upstream")?,
        enabled: fields.boolean("enabled")?,
        labels: None,
    };
    let updated = finish(async move { app.controller.update(&name, patch).await }).await.map_err(refused)?;
    Ok(Json(Proxy::from(&updated)))
}

/// Removes a proxy and closes its connections.
#[utoipa::path(delete, path = "/proxies/{proxy}", tag = "toxiproxy", operation_id = "classic_delete_proxy",
    params(("proxy" = String, Path)),
    responses((status = 204), (status = 404, body = ApiError)))]
pub(super) async fn delete(
    State(app): State<App>,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    finish(async move { app.controller.delete(&name).await }).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A proxy from an object. Its `toxics` are what a client read before, not what
/// it asks for: Toxiproxy ignores them, and so does this.
fn read_proxy(entry: Value, place: &str) -> Result<ProxySpec, ApiError> {
    let mut fields = Fields::of(entry)?;
    let (name, listen) = (fields.string("name")?, fields.string("listen")?);
    let (upstream, enabled) = (fields.string("upstream")?, fields.boolean("enabled")?);
    // Not of Toxiproxy, whose clients do not send it.
    let protocol = match fields.string("protocol")?.as_deref() {
        None | Some("tcp") => Protocol::Tcp,
        Some("http") => Protocol::Http,
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "bad request body: protocol: `{other}` is neither tcp nor http"
            )));
        }
    };
    let tls = fields.object("tls")?.map(|map| {
        sabot_toxics::read::<TlsSpec>(Value::Object(map)).map_err(|error| lenient::bad(error.within("tls")))
    });
    let max_active_faults = match fields.number("max_active_faults")? {
        None => None,
        Some(number) if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) => {
            Some(number as u32)
        }
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "bad request body: max_active_faults: {other} is no whole number from 1"
            )));
        }
    };
    let (host_rewrite, x_forwarded_for) =
        (fields.string("host_rewrite")?, fields.boolean("x_forwarded_for")?);
    let given = |text: Option<String>, field| {
        text.filter(|text| !text.is_empty()).ok_or_else(|| missing(field, place))
    };
    Ok(ProxySpec {
        name: given(name, "name")?,
        listen,
        upstream: given(upstream, "upstream")?,
        protocol,
        tls: tls.transpose()?,
        max_active_faults,
        host_rewrite,
        x_forwarded_for: x_forwarded_for.unwrap_or(false),
        enabled: enabled.unwrap_or(true),
        // They are Sabot's own: a proxy that is made anew here has none.
        labels: BTreeMap::new(),
        toxics: Vec::new(),
    })
}
