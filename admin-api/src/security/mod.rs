//! Who may ask: programs, not web pages; and, where tokens are asked for, who has one ([`access`]).
//!
//! The API has no secrets to give but much to break. A page in a developer's
//! browser must not reach it, neither by sending requests across origins nor by
//! pointing its own name at this address (DNS rebinding). Programs pass without
//! noticing.

mod access;
mod host;
mod who;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN, USER_AGENT};
use http::{HeaderValue, request::Parts};

use crate::app::App;
use crate::error::ApiError;
pub(crate) use access::{Gate, admit, allows, failed, routes};
pub(crate) use who::{Peer, Who, who};

/// Refuses what comes from a web page.
pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match check(&parts, &app.options.allowed_hosts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => error.into_response(),
    }
}

fn check(parts: &Parts, allowed: &[String]) -> Result<(), ApiError> {
    let header_hosts = parts.headers.get_all(HOST).iter();
    // A request to a proxy names its host in the request line instead.
    let line_host = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    for named in header_hosts.map(HeaderValue::as_bytes).chain(line_host) {
        let named = String::from_utf8_lossy(named);
        if !host::passes(&named, allowed) {
            return Err(host::refusal(&named));
        }
    }
    if let Some(origin) = parts.headers.get(ORIGIN)
        && !same_origin(origin, parts.headers.get(HOST), allowed)
    {
        return Err(ApiError::forbidden(format!(
            "requests from the web page {} are not allowed: start sabot with --allowed-host if it is yours",
            String::from_utf8_lossy(origin.as_bytes()),
        )));
    }
    let browser = |agent: &HeaderValue| agent.as_bytes().starts_with(b"Mozilla/");
    if parts.headers.get(USER_AGENT).is_some_and(browser) {
        return Err(ApiError::forbidden("User agent not allowed"));
    }
    Ok(())
}

/// Whether the page that sends is this server's own, or one that was allowed.
fn same_origin(origin: &HeaderValue, host: Option<&HeaderValue>, allowed: &[String]) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let Some((_, authority)) = origin.split_once("://") else { return false };
    let own = host.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()));
    own || host::listed(host::name(authority), allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(headers: &[(&str, &str)], allowed: &[&str]) -> u16 {
        let mut request = http::Request::builder().uri("/proxies");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        let (parts, ()) = request.body(()).unwrap().into_parts();
        check(&parts, &allowed).map_or_else(|error| error.status.as_u16(), |()| 200)
    }

    #[test]
    fn pages_are_refused_and_programs_pass() {
        for (headers, allowed, status) in [
            (&[][..], &[][..], 200),
            (&[("host", "localhost:8474")], &[], 200),
            (&[("host", "")], &[], 200),
            (&[("host", "evil.example.com")], &[], 403),
            (&[("host", "localhost"), ("host", "evil.example.com")], &[], 403),
            (&[("host", "ci.example.com")], &["ci.example.com"], 200),
            (&[("host", "localhost:8474"), ("origin", "http://localhost:8474")], &[], 200),
            (&[("host", "localhost:8474"), ("origin", "http://localhost:3000")], &[], 403),
            (&[("host", "localhost:8474"), ("origin", "https://evil.example.com")], &[], 403),
            (&[("host", "localhost:8474"), ("origin", "null")], &[], 403),
            (&[("host", "localhost:8474"), ("origin", "https://ui.example.com")], &["ui.example.com"], 200),
            (&[("origin", "http://localhost:8474")], &[], 403),
            (&[("host", "localhost"), ("user-agent", "Mozilla/5.0 (X11)")], &[], 403),
            (&[("host", "localhost"), ("user-agent", "toxiproxy-cli/v2.12.0 (linux/amd64)")], &[], 200),
            (&[("host", "localhost"), ("user-agent", "curl (not Mozilla/5.0)")], &[], 200),
        ] {
            assert_eq!(ask(headers, allowed), status, "{headers:?} with {allowed:?} allowed");
        }
    }

    #[test]
    fn the_request_line_names_a_host_too() {
        let request =
            http::Request::builder().uri("http://evil.example.com/proxies").header("host", "localhost");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert!(check(&parts, &[]).is_err());
    }
}
