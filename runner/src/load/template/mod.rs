//! Templates: text in which `{{…}}` stands for what differs from request to request.
//!
//! What a template gives is a pure function of the load's seed, the request's number and tenant, and
//! of what the setup captured. A draw belongs to its place in its endpoint, so that a new draw moves
//! no other's.

mod function;
pub(crate) mod parse;
mod scope;

use std::collections::BTreeMap;
use std::sync::Arc;

use sabot_toxics::Seed;

use function::Function;
pub(crate) use scope::Scope;

/// Text with places that are filled in for each request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    what: What,
    escape: Escape,
}

#[derive(Clone, Debug)]
enum What {
    Text(String),
    Draw(Arc<Draw>),
    Tenant,
    Number,
    /// What the setup captured under this name.
    Captured(String),
}

/// A function, and the seed of its place.
#[derive(Debug)]
struct Draw {
    function: Function,
    seed: Seed,
}

/// How what is filled in is written, so that it stays one value there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// As it is.
    None,
    /// Within a string of JSON.
    Json,
    /// Within the path of a URL.
    Path,
}

/// What templates are filled in from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    /// The request's number in the load, from 0.
    pub number: u64,
    /// The tenant's name.
    pub tenant: &'a str,
    /// What the setup captured for this tenant; none where nothing was sent: then names are shown.
    pub captured: Option<&'a BTreeMap<String, String>>,
}

impl Template {
    /// Appends the text of one request to `out`.
    pub(crate) fn render(&self, values: &Values<'_>, out: &mut String) {
        for part in &self.parts {
            match part.escape {
                Escape::None => part.what.write(values, out),
                escape => {
                    let mut plain = String::new();
                    part.what.write(values, &mut plain);
                    escape.write(&plain, out);
                }
            }
        }
    }

    /// The text of one request.
    pub(crate) fn text(&self, values: &Values<'_>) -> String {
        let mut out = String::new();
        self.render(values, &mut out);
        out
    }

    /// The text, if it is the same for all requests.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part { what: What::Text(text), .. }] => Some(text),
            _ => None,
        }
    }

    fn push(&mut self, what: What, escape: Escape) {
        if let (What::Text(more), Some(Part { what: What::Text(text), escape: Escape::None })) =
            (&what, self.parts.last_mut())
            && escape == Escape::None
        {
            text.push_str(more);
            return;
        }
        self.parts.push(Part { what, escape });
    }

    /// Whether all it gives is one number.
    fn is_number(&self) -> bool {
        match self.parts.as_slice() {
            [Part { what: What::Number, .. }] => true,
            [Part { what: What::Draw(draw), .. }] => draw.function.is_number(),
            _ => false,
        }
    }
}

impl What {
    fn write(&self, values: &Values<'_>, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Draw(draw) => draw.function.write(&mut draw.seed.at(values.number), out),
            Self::Tenant => out.push_str(values.tenant),
            Self::Number => out.push_str(&values.number.to_string()),
            Self::Captured(name) => match values.captured {
                Some(captured) => out.push_str(captured.get(name).map_or("", String::as_str)),
                None => {
                    out.push_str("{{");
                    out.push_str(name);
                    out.push_str("}}");
                }
            },
        }
    }
}

impl Escape {
    fn write(self, text: &str, out: &mut String) {
        match self {
            Self::None => out.push_str(text),
            Self::Json => {
                let quoted = serde_json::Value::from(text).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
            Self::Path => {
                for byte in text.bytes() {
                    if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                        out.push(char::from(byte));
                    } else {
                        out.push_str(&format!("%{byte:02X}"));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
