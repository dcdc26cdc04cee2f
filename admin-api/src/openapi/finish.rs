//! What holds for every operation, said once.

use http::StatusCode;
use serde_json::{Value, json};

use crate::trace::REQUEST_ID;

/// Adds to each operation the answers and headers that all have, and sorts the
/// components.
pub(super) fn finish(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    let operations = paths.filter_map(|(_, path)| path.as_object_mut()).flatten();
    for (_, operation) in operations.filter(|(_, operation)| operation["responses"].is_object()) {
        let has_body = operation.get("requestBody").is_some();
        if has_body {
            operation["requestBody"]["required"] = json!(true);
            add(operation, StatusCode::BAD_REQUEST, "");
            add(operation, StatusCode::PAYLOAD_TOO_LARGE, "");
        }
        add(operation, StatusCode::FORBIDDEN, "The Host, the Origin or the User-Agent is a web page's.");
        operation["responses"]["default"] = failure("Anything else that fails.");
        for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
            describe(status, response);
        }
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.sort_keys();
    }
}

/// Adds an answer in the form of all failures, unless the operation has its own.
fn add(operation: &mut Value, status: StatusCode, description: &str) {
    let response = &mut operation["responses"][status.as_str()];
    if response.is_null() {
        *response = failure(description);
    }
}

fn failure(description: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Error" });
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn describe(status: &str, response: &mut Value) {
    if response["description"].as_str().is_none_or(str::is_empty) {
        let reason = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
        let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or_default();
        response["description"] = json!(reason);
    }
    response["headers"][REQUEST_ID] =
        json!({ "description": "Unique id of the request.", "schema": { "type": "string" } });
}
