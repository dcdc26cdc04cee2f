//! What a schema says of a value that is typed as text.

use serde_json::Value;

use crate::pairs::{listed, typed};

/// A place in a JSON Schema.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'s> {
    root: &'s Value,
    node: &'s Value,
    /// `null` is no text but takes back what there was.
    change: bool,
}

impl Shape<'static> {
    /// Nothing is known: text is read as what it looks like.
    pub(crate) const UNKNOWN: Self = Self { root: &Value::Null, node: &Value::Null, change: false };

    /// Of the attributes of a kind; a server may know more kinds than this program.
    pub(crate) fn of_kind(name: &str) -> Self {
        sabot_toxics::kind(name).map_or(Self::UNKNOWN, |kind| Self::of(kind.schema()))
    }
}

impl<'s> Shape<'s> {
    pub(crate) fn of(schema: &'s Value) -> Self {
        Self { root: schema, node: schema, change: false }
    }

    /// As this one, for what is laid over values that are there.
    pub(crate) fn of_change(self) -> Self {
        Self { change: true, ..self }
    }

    /// The name that the parts of a key begin with, the parts after it, and its shape.
    pub(crate) fn step(self, parts: &[String]) -> (String, &[String], Self) {
        let (first, rest) = parts.split_first().map_or(("", parts), |(first, rest)| (first.as_str(), rest));
        if let Some(field) = self.find(|node| node["properties"].get(first)) {
            return (first.to_owned(), rest, field);
        }
        match self.find(|node| node.get("additionalProperties").filter(|it| it.is_object())) {
            // Names of headers and parameters are any text: all of the rest, unless it
            // ends with what the value itself may have.
            Some(value) if value.is_text() => {
                let field = |last: &String| value.find(|node| node["properties"].get(last)).is_some();
                let end = match parts {
                    [_, .., last] if field(last) => parts.len() - 1,
                    _ => parts.len(),
                };
                (parts[..end].join("."), &parts[end..], value)
            }
            _ => (first.to_owned(), rest, Self { node: &Value::Null, ..self }),
        }
    }

    /// What the text stands for here.
    pub(crate) fn read(self, text: &str) -> Value {
        let value = typed(text);
        if self.change && value.is_null() {
            return value;
        }
        if self.is_text() {
            // An object in place of the text, as a pattern may be.
            let fits = |name: &String| self.find(|node| node["properties"].get(name)).is_some();
            let object = value.as_object().is_some_and(|map| !map.is_empty() && map.keys().all(fits));
            return if object { value } else { text.into() };
        }
        let list = self.find(|node| node.get("items"));
        if !value.is_array() && list.is_some_and(Self::is_text) {
            return listed(text);
        }
        value
    }

    /// Whether any text fits: no quantity, whose number may be given bare.
    fn is_text(self) -> bool {
        let number = |node: &&Value| ["integer", "number"].iter().any(|name| has_type(node, name));
        let nodes = self.alternatives();
        nodes.iter().any(|node| has_type(node, "string")) && !nodes.iter().any(number)
    }

    fn find(self, part: impl Fn(&'s Value) -> Option<&'s Value>) -> Option<Self> {
        let node = self.alternatives().into_iter().find_map(part)?;
        Some(Self { node, ..self })
    }

    /// The schemas that a value may fit here, through references.
    fn alternatives(self) -> Vec<&'s Value> {
        let target = self.node["$ref"].as_str().and_then(|path| self.root.pointer(path.strip_prefix('#')?));
        let node = target.unwrap_or(self.node);
        match node["anyOf"].as_array() {
            Some(list) => list.iter().flat_map(|node| Self { node, ..self }.alternatives()).collect(),
            None => vec![node],
        }
    }
}

fn has_type(node: &Value, name: &str) -> bool {
    match &node["type"] {
        Value::Array(names) => names.iter().any(|given| given == name),
        given => given == name,
    }
}
