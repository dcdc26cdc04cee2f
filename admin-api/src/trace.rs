//! An id for every request, and a line in the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;

use crate::error::ApiError;

/// The header that carries the id; clients of Toxiproxy know it.
pub(crate) const REQUEST_ID: &str = "x-toxiproxy-request-id";

/// Outermost: whatever is answered passes here.
pub(crate) async fn trace(request: Request, next: Next) -> Response {
    let id = next_id();
    let start = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let status = response.status();
    let ms = start.elapsed().as_secs_f64() * 1e3;
    // Reading is what dashboards and probes do all day; changing is news.
    if method.is_safe() && !status.is_server_error() {
        tracing::debug!(%method, path, status = status.as_u16(), ms, id, "request");
    } else {
        tracing::info!(%method, path, status = status.as_u16(), ms, id, "request");
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Answers for a handler that panicked: our bug, and no one else's request.
pub(crate) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("without a message"), "a request handler panicked");
    drop(panic);
    ApiError::internal().into_response()
}

/// Unique over restarts: when the server started, then a count.
fn next_id() -> String {
    static START: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_micros() as u64
    });
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:012x}{count:08x}", *START & 0xffff_ffff_ffff)
}
