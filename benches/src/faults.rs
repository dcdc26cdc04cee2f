//! Faults that are there and meet nobody: what looking for a match costs.

use serde_json::{Value, json};

/// Ten kinds and attributes, of all the ways to match. No load of this crate sends
/// such requests.
#[must_use]
pub fn unmatched() -> [(&'static str, Value); 10] {
    let delay = |matching: Value| ("http_delay", json!({ "delay": "5ms", "match": matching }));
    let abort = |matching: Value| ("http_abort", json!({ "status": 503, "match": matching }));
    [
        abort(json!({ "path": "/charge" })),
        delay(json!({ "path": { "prefix": "/api/v1/" } })),
        abort(json!({ "path": { "glob": "/orders/*/items" } })),
        ("http_hang", json!({ "match": { "path": { "regex": "^/users/[0-9]+/cards$" } } })),
        ("http_headers", json!({ "match": { "headers": { "x-canary": "yes" } } })),
        ("http_reset", json!({ "match": { "method": "DELETE,PATCH" } })),
        ("http_truncate", json!({ "match": { "host": { "glob": "*.example.com" } } })),
        ("http_status", json!({ "status": 500, "match": { "query": { "tenant": "7" } } })),
        abort(json!({ "grpc_service": "bank.Payments", "grpc_method": "Charge" })),
        delay(json!({ "sticky": "header:x-user" })),
    ]
}
