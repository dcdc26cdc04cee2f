//! Bodies of the Toxiproxy routes: read leniently, so there is no type to
//! derive them from. Everything may be `null` and further fields are ignored.

use serde_json::{Value, json};

pub(super) fn schemas() -> impl Iterator<Item = (String, Value)> {
    let text = json!({ "type": ["string", "null"] });
    let flag = json!({ "type": ["boolean", "null"], "default": true });
    let share = json!({ "type": ["number", "null"], "minimum": 0, "description": "Above 1 is as 1." });
    let attributes = json!({
        "type": ["object", "null"],
        "description": "Integers where Toxiproxy has integers; what the kind does not know is ignored.",
    });
    let proxy = json!({
        "type": "object",
        "required": ["name", "upstream"],
        "properties": {
            "name": { "type": "string", "minLength": 1 },
            "listen": text,
            "upstream": { "type": "string", "minLength": 1 },
            "protocol": { "enum": ["tcp", "http", null], "default": "tcp" },
            "tls": { "$ref": "#/components/schemas/Tls" },
            "enabled": flag,
        },
    });
    let kinds: Vec<_> = sabot_toxics::kinds().iter().map(|kind| kind.name).collect();
    let toxic = json!({
        "type": "object",
        "required": ["type"],
        "properties": {
            "name": text,
            "type": { "enum": kinds },
            "stream": {
                "type": ["string", "null"],
                "description": "`upstream` or `downstream` in any case; also read as `direction`.",
                "default": "downstream",
            },
            "toxicity": share,
            "attributes": attributes,
            "when": { "$ref": "#/components/schemas/When" },
        },
    });
    let proxy_patch = json!({
        "type": ["object", "null"],
        "properties": { "listen": text, "upstream": text, "enabled": { "type": ["boolean", "null"] } },
    });
    let toxic_patch = json!({
        "type": ["object", "null"],
        "properties": { "attributes": attributes, "toxicity": share },
    });
    let populate = json!({
        "type": ["array", "null"],
        "items": { "$ref": "#/components/schemas/ClassicNewProxy" },
    });
    [
        ("ClassicNewProxy", proxy),
        ("ClassicPopulate", populate),
        ("ClassicProxyPatch", proxy_patch),
        ("ClassicNewToxic", toxic),
        ("ClassicToxicPatch", toxic_patch),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
}
