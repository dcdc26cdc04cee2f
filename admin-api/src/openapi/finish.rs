//! What holds for every operation, said once.

use http::StatusCode;
use serde_json::{Value, json};

use crate::security::routes::{self, Takes};
use crate::trace::REQUEST_ID;

/// Answers that operations share, and what they say of themselves.
const FAILURES: [(&str, &str); 6] = [
    ("BadRequest", "The body, or a name in the path, cannot be read or used."),
    ("Unauthorized", "With `--auth`: no token came, or one that is unknown, revoked or expired."),
    (
        "Forbidden",
        "The Host, the Origin or the User-Agent is a web page's; or the token is for another role, or its scope does \
         not reach so far.",
    ),
    (
        "TooMany",
        "Too many requests without a good token came from there; `Retry-After` says how long to wait.",
    ),
    ("TooLarge", "The body is larger than the server takes."),
    ("Failure", "Anything else that fails."),
];

/// Adds to each operation the answers and headers that all have, and sorts the
/// components.
pub(super) fn finish(document: &mut Value) {
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        distinguish(operations);
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            complete(operation);
            guard(operation, &method.to_uppercase(), path);
        }
    }
    let components = &mut document["components"];
    for (name, description) in FAILURES {
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        let content = json!({ "application/json": { "schema": schema } });
        components["responses"][name] = json!({ "description": description, "content": content });
        add_header(&mut components["responses"][name]);
    }
    components["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "A token of `sabot token create`." },
        "basic": { "type": "http", "scheme": "basic", "description": "The token as the password, of any name." },
    });
    let description = "Unique id of the request.";
    components["headers"]["RequestId"] =
        json!({ "description": description, "schema": { "type": "string" } });
    if let Some(schemas) = components["schemas"].as_object_mut() {
        schemas.sort_keys();
    }
    // Nothing is needed where the server was started without --auth.
    document["security"] = json!([{}, { "bearer": [] }, { "basic": [] }]);
}

/// Old clients POST what newer ones PATCH: one handler, two operations.
fn distinguish(path: &mut Value) {
    if let (Some(post), Some(patch)) = (path.get("post"), path.get("patch"))
        && post["operationId"] == patch["operationId"]
    {
        let id = post["operationId"].as_str().unwrap_or_default();
        path["post"]["operationId"] = json!(format!("{id}_by_post"));
        path["post"]["deprecated"] = json!(true);
    }
}

fn complete(operation: &mut Value) {
    if let Some(summary) = operation["summary"].as_str() {
        operation["summary"] = json!(summary.replace('\n', " "));
    }
    let responses = &mut operation["responses"];
    for (status, response) in responses.as_object_mut().into_iter().flatten() {
        describe(status, response);
        add_header(response);
    }
    share(responses, "403", "Forbidden");
    share(responses, "default", "Failure");
    if operation.get("requestBody").is_some() {
        operation["requestBody"]["required"] = json!(true);
        share(&mut operation["responses"], "400", "BadRequest");
        share(&mut operation["responses"], "413", "TooLarge");
    }
}

/// Says who may: what stands in the table of routes.
fn guard(operation: &mut Value, method: &str, path: &str) {
    let Some(takes) = routes::of(method, path) else { return };
    operation["x-sabot-role"] = json!(takes.role());
    if takes == Takes::Nothing {
        operation["security"] = json!([]);
    } else {
        share(&mut operation["responses"], "401", "Unauthorized");
        share(&mut operation["responses"], "429", "TooMany");
    }
}

fn share(responses: &mut Value, status: &str, name: &str) {
    responses[status] = json!({ "$ref": format!("#/components/responses/{name}") });
}

fn describe(status: &str, response: &mut Value) {
    if response["description"].as_str().is_none_or(str::is_empty) {
        let reason = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
        let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or_default();
        response["description"] = json!(reason);
    }
}

fn add_header(response: &mut Value) {
    response["headers"][REQUEST_ID] = json!({ "$ref": "#/components/headers/RequestId" });
}
