//! Kinds of toxics as people read them, all of it from their schemas.

use sabot_toxics::{Kind, Phase};
use serde_json::Value;

use crate::shape::Shape;

/// What is told of one attribute.
pub(crate) struct Attribute {
    pub name: String,
    /// `duration (ms)`, `number`, `normal | pareto`.
    pub kind: String,
    pub default: String,
    /// `0 – 1`, `≥ 0`; empty if nothing bounds it.
    pub range: String,
    /// One paragraph.
    pub docs: String,
    unit: String,
    json: String,
}

/// The attributes in the order of their declaration.
pub(crate) fn attributes(kind: &Kind) -> Vec<Attribute> {
    let schema = kind.schema();
    let properties = schema["properties"].as_object();
    properties
        .map(|properties| {
            properties.iter().map(|(name, property)| attribute(name, property, schema)).collect()
        })
        .unwrap_or_default()
}

/// `stream`, `connect`, and whether Toxiproxy has it.
pub(crate) fn origin(kind: &Kind) -> String {
    let phase = match kind.phase {
        Phase::Stream => "acts on the stream",
        Phase::Connect => "acts on new connections",
        Phase::Tls => "acts on TLS",
        Phase::Http => "acts on HTTP requests",
    };
    let classic = if kind.classic.is_some() { "; Toxiproxy has it too" } else { "" };
    format!("{phase}{classic}")
}

/// Attributes that show what the kind is for: its own example, or the first one, at a
/// size that is felt and does no harm.
pub(crate) fn sample(kind: &Kind) -> Vec<(String, String)> {
    if !kind.example.is_empty() {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        return kind.example.iter().map(pair).collect();
    }
    let of = |attribute: &Attribute| {
        let value = match (attribute.unit.as_str(), attribute.json.as_str()) {
            ("ms", _) => "100ms",
            ("us", _) => "100us",
            ("KB/s", _) => "100KB/s",
            ("B", _) => "1KiB",
            // 10 would be no status.
            (_, "integer") if attribute.range.contains("599") => "503",
            (_, "integer") => "10",
            (_, "number") if attribute.range.ends_with('1') => "0.01",
            (_, "boolean") => "true",
            _ => return None,
        };
        Some((attribute.name.clone(), value.to_owned()))
    };
    // An attribute may mean nothing without another.
    let alone = |(name, value): &(String, String)| {
        let pair = crate::pairs::parse(&format!("{name}={value}"));
        pair.is_ok_and(|pair| kind.parse(&crate::pairs::map(&[pair], Shape::of(kind.schema()))).is_ok())
    };
    attributes(kind).iter().filter_map(of).find(alone).into_iter().collect()
}

/// The fields of a schema, and what each means.
pub(crate) fn fields(schema: &Value) -> Vec<(String, String)> {
    let all = schema["properties"].as_object().into_iter().flatten();
    all.map(|(name, property)| {
        (name.clone(), text(&property["description"]).split_whitespace().collect::<Vec<_>>().join(" "))
    })
    .collect()
}

/// Names that fit into a column; more are told with what the attribute is.
const CHOICES: usize = 6;

fn attribute(name: &str, property: &Value, schema: &Value) -> Attribute {
    let (inner, optional) = resolve(property, schema);
    let unit = text(&inner["x-unit"]);
    let json = types(inner);
    let choices = choices(inner);
    let many = choices.len() > CHOICES;
    let kind = match (unit.as_str(), choices.is_empty()) {
        (_, false) if many => "name".to_owned(),
        (_, false) => choices.join(" | "),
        ("ms" | "us", true) => format!("duration ({unit})"),
        ("KB/s", true) => "rate (KB/s)".to_owned(),
        ("B", true) => "bytes".to_owned(),
        _ => json.clone(),
    };
    let default = &property["default"];
    let default = match default {
        Value::Null if optional => "none".to_owned(),
        Value::Null => "required".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::Array(list) if list.is_empty() => "none".to_owned(),
        Value::Object(map) if map.is_empty() => "none".to_owned(),
        value => crate::words::scalar(value),
    };
    let docs = text(&property["description"]);
    let mut docs = if docs.is_empty() { text(&inner["description"]) } else { docs };
    if many {
        docs += &format!(" One of {}.", choices.join(", "));
    }
    Attribute {
        name: name.to_owned(),
        kind,
        default,
        range: range(inner, property),
        docs: docs.split_whitespace().collect::<Vec<_>>().join(" "),
        unit,
        json,
    }
}

/// Through `$ref`, and out of "this or null".
fn resolve<'s>(property: &'s Value, schema: &'s Value) -> (&'s Value, bool) {
    let alternatives = property["anyOf"].as_array();
    let null = |value: &&Value| value["type"] == "null";
    let (inner, optional) = match alternatives {
        Some(list) => (
            list.iter().find(|value| !null(value)).unwrap_or(property),
            list.iter().any(|value| null(&value)),
        ),
        None => {
            let nullable =
                property["type"].as_array().is_some_and(|types| types.iter().any(|name| name == "null"));
            (property, nullable)
        }
    };
    match inner["$ref"].as_str().and_then(|path| path.strip_prefix('#')).and_then(|path| schema.pointer(path))
    {
        Some(target) => (target, optional),
        None => (inner, optional),
    }
}

/// The JSON type; a quantity counts as the number that it is.
fn types(inner: &Value) -> String {
    match &inner["type"] {
        Value::Array(types) => {
            let types = types.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            types.take(1).collect()
        }
        other => text(other),
    }
}

/// `uniform`, `normal` and so on, from either way that schemars writes an enumeration.
fn choices(inner: &Value) -> Vec<String> {
    let of = |choice: &Value| -> Vec<String> {
        match (&choice["const"], &choice["enum"]) {
            (Value::String(name), _) => vec![name.clone()],
            (_, Value::Array(names)) => names.iter().filter(|name| name.is_string()).map(text).collect(),
            _ => Vec::new(),
        }
    };
    match inner["oneOf"].as_array() {
        Some(list) => list.iter().flat_map(of).collect(),
        None => of(inner),
    }
}

fn range(inner: &Value, property: &Value) -> String {
    let bound = |name: &str| property[name].as_f64().or_else(|| inner[name].as_f64());
    match (bound("minimum"), bound("maximum")) {
        (Some(low), Some(high)) => format!("{low} – {high}"),
        (Some(low), None) => format!("≥ {low}"),
        (None, Some(high)) => format!("≤ {high}"),
        (None, None) => String::new(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Shape, attributes, sample};

    #[test]
    fn schemas_read_as_attributes() {
        let latency = attributes(sabot_toxics::kind("latency").unwrap());
        let shape: Vec<_> = latency
            .iter()
            .map(|a| (a.name.as_str(), a.kind.as_str(), a.default.as_str(), a.range.as_str()))
            .collect();
        assert_eq!(shape[0], ("latency", "duration (ms)", "0", "≥ 0"));
        assert_eq!(
            shape[2],
            (
                "distribution",
                "uniform | normal | pareto | paretonormal | exponential | lognormal",
                "uniform",
                ""
            )
        );
        assert_eq!(shape[3], ("correlation", "number", "0", "0 – 1"));
        assert!(latency.iter().all(|attribute| !attribute.docs.is_empty()));
    }

    #[test]
    fn samples_change_something_where_the_bare_kind_does_nothing() {
        for name in ["header", "http_body", "http_headers", "http_rewrite", "http_stream", "modify_body"] {
            assert!(!sample(sabot_toxics::kind(name).unwrap()).is_empty(), "{name}");
        }
    }

    #[test]
    fn samples_are_accepted() {
        for kind in sabot_toxics::kinds() {
            let pairs: Vec<_> = sample(kind)
                .iter()
                .map(|(key, value)| crate::pairs::parse(&format!("{key}={value}")).unwrap())
                .collect();
            if let Err(error) = kind.parse(&crate::pairs::map(&pairs, Shape::of(kind.schema()))) {
                panic!("{}: {error}", kind.name);
            }
        }
    }
}
