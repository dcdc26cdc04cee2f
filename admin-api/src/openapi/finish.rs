//! What holds for every operation, said once.

use http::StatusCode;
use serde_json::{Value, json};

use crate::trace::REQUEST_ID;

/// Answers that operations share, and what they say of themselves.
const FAILURES: [(&str, &str); 4] = [
    ("BadRequest", "The body, or a name in the path, cannot be read or used."),
    ("Forbidden", "The Host, the Origin or the User-Agent is a web page's."),
    ("TooLarge", "The body is larger than the server takes."),
    ("Failure", "Anything else that fails."),
];

/// Adds to each operation the answers and headers that all have, and sorts the
/// components.
pub(super) fn finish(document: &mut Value) {
    for (_, path) in document["paths"].as_object_mut().into_iter().flatten() {
        distinguish(path);
        for (_, operation) in path.as_object_mut().into_iter().flatten() {
            complete(operation);
        }
    }
    let components = &mut document["components"];
    for (name, description) in FAILURES {
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        let content = json!({ "application/json": { "schema": schema } });
        components["responses"][name] = json!({ "description": description, "content": content });
        add_header(&mut components["responses"][name]);
    }
    let description = "Unique id of the request.";
    components["headers"]["RequestId"] =
        json!({ "description": description, "schema": { "type": "string" } });
    if let Some(schemas) = components["schemas"].as_object_mut() {
        schemas.sort_keys();
    }
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
