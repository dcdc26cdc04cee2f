//! The audit of every change by a route that keeps no journal of its own: Toxiproxy's, and `/v1`'s.
//!
//! Handed to the journal's thread after the answer, never waited for: a client notices nothing, and a server that is
//! killed in that moment may lose it. What the engine does it journals itself, before; here its refusals are added.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, StatusCode};
use sabot_injections::event::{Event, is_kept};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::Reason;
use crate::extract::Seen;
use crate::security::{Who, who};

/// A body of more bytes is told by its size: the journal is kept for ever.
const LARGEST_DETAIL: usize = 2048;

/// An address of more bytes is cut.
const LONGEST_PATH: usize = 512;

/// What a client that went away got.
const CLOSED: u16 = 499;

/// Routes whose changes are journalled by whatever makes them.
const JOURNALLED: [&str; 4] = ["/injections", "/chaos/", "/v1/schedules", "/v1/tokens"];

/// Notes what changes something, and what the engine refuses.
pub(crate) async fn note(State(app): State<App>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let Some(route) = request.extensions().get::<MatchedPath>().filter(|_| !reads).cloned() else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    let seen = Seen::default();
    parts.extensions.insert(seen.clone());
    let what = format!("{} {}", parts.method, cut(parts.uri.path()));
    let journalled = JOURNALLED.iter().any(|prefix| route.as_str().starts_with(prefix));
    let partly = route.as_str() == "/populate";
    let mut noted = Noted { app, who: who(&parts), what, seen, journalled, partly, answered: false };
    let response = next.run(Request::from_parts(parts, body)).await;
    noted.answered(&response);
    response
}

/// What is about to be noted, also if the client goes away meanwhile: then the change may have been made.
struct Noted {
    app: App,
    who: Who,
    what: String,
    seen: Seen,
    journalled: bool,
    /// It may be done in part.
    partly: bool,
    answered: bool,
}

impl Noted {
    fn answered(&mut self, response: &Response) {
        self.answered = true;
        let status = response.status();
        // The address is another method's: nobody was asked.
        if status == StatusCode::METHOD_NOT_ALLOWED {
            return;
        }
        // A populate that fails has set those before; what failed in the server may have done anything.
        let refused = status.is_client_error() && !self.partly;
        if !self.journalled && !refused {
            self.change(status.as_u16());
        } else if status.is_client_error() || status.is_server_error() {
            let reason = response.extensions().get::<Reason>();
            let reason = reason.map_or_else(|| status.to_string(), |reason| reason.0.clone());
            let body = self.body().unwrap_or_default();
            let owner = body["owner"].as_str().unwrap_or_default();
            let actor = self.who.clone().or(owner).actor;
            let what = format!("{}{}", self.what, summary(&body));
            self.app.engine.note(&actor, Event::Refused { what, reason });
        }
    }

    fn change(&self, status: u16) {
        let detail = match (self.body(), self.seen.0.get()) {
            (Some(mut body), _) => {
                redact(&mut body);
                body
            }
            (None, Some(body)) if !body.is_empty() => json!({ "bytes": body.len() }),
            _ => Value::Null,
        };
        let event = Event::Changed { what: self.what.clone(), status, detail };
        self.app.engine.note(&self.who.actor, event);
    }

    /// What was sent, if it is small, JSON, and not too deep to be kept.
    fn body(&self) -> Option<Value> {
        let body = self.seen.0.get().filter(|body| body.len() <= LARGEST_DETAIL)?;
        serde_json::from_slice(body).ok().filter(is_kept)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if !self.answered && !self.journalled {
            let failed = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
            self.change(if std::thread::panicking() { failed } else { CLOSED });
        }
    }
}

/// What was asked for, in a few words.
fn summary(body: &Value) -> String {
    let injection = if body["injection"].is_object() { &body["injection"] } else { body };
    let kind = injection["fault"]["type"].as_str().or(body["type"].as_str());
    let target = &injection["target"];
    let service = target["service"].as_str().or(target.as_str());
    match (kind, service) {
        (Some(kind), Some(service)) => format!(": {} on {}", shown(kind), shown(service)),
        (Some(one), None) | (None, Some(one)) => format!(": {}", shown(one)),
        (None, None) => String::new(),
    }
}

/// What came from outside, short and on one line.
fn shown(text: &str) -> String {
    const LONGEST: usize = 100;
    text.chars().take(LONGEST).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

fn cut(path: &str) -> &str {
    // Percent-encoded: every byte is a character.
    path.get(..LONGEST_PATH).unwrap_or(path)
}

/// Takes out what is nobody's business, wherever it stands: by the names that secrets have, and by how keys begin.
fn redact(value: &mut Value) {
    const SECRET: [&str; 8] =
        ["key", "secret", "password", "passwd", "token", "authorization", "cookie", "credential"];
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                let name = name.to_ascii_lowercase();
                if SECRET.iter().any(|secret| name.contains(secret)) && !value.is_null() {
                    *value = json!("(left out)");
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::String(text) if text.contains("-----BEGIN") => *value = json!("(left out)"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        let pem = "-----BEGIN PRIVATE KEY-----";
        let mut body = json!({
            "name": "a", "tls": {"terminate": {"certificates": [{"cert": "a.pem", "key": "a.key"}]}},
            "headers": {"Authorization": "Bearer x", "X-Api-Key": "y", "accept": "text/plain"},
            "list": [pem, "fine"], "password": null,
        });
        redact(&mut body);
        let out = "(left out)";
        let expected = json!({
            "name": "a", "tls": {"terminate": {"certificates": [{"cert": "a.pem", "key": out}]}},
            "headers": {"Authorization": out, "X-Api-Key": out, "accept": "text/plain"},
            "list": [out, "fine"], "password": null,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn what_was_asked_for_is_told_in_a_few_words() {
        for (body, expected) in [
            (json!({"fault": {"type": "latency"}, "target": {"service": "a"}}), ": latency on a"),
            (json!({"type": "latency", "target": "a\nb"}), ": latency on a b"),
            (json!({"injection": {"fault": {"type": "refuse"}, "target": {}}}), ": refuse"),
            (json!({"target": 5}), ""),
            (json!([1]), ""),
        ] {
            assert_eq!(summary(&body), expected, "{body}");
        }
        assert_eq!(shown(&"x".repeat(200)).len(), 100);
    }
}
