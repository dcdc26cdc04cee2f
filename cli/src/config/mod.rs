//! Config files: proxies and their toxics, and what injections may do, in JSON, YAML or TOML.
//!
//! Three shapes mean the same: a list of proxies (as Toxiproxy has it), an object
//! with the list under `proxies`, and TOML's `[[proxies]]`. A file is right as a
//! whole or refused as a whole, with the line and the field that are wrong.
//!
//! Not here: applying it (that is the controller's), and watching the file.

mod changed;
mod injections;

use std::path::Path;

use sabot_document::{Document, DocumentError};
use sabot_proxy::{ProxySpec, check_upstream};
use sabot_toxics::{Invalid, ToxicSpec, read};
use serde_json::Value;

pub(crate) use injections::Injections;

/// A config file that was read and is right in itself.
pub(crate) struct Config {
    /// What it asks for, in its order.
    pub proxies: Vec<ProxySpec>,
    /// What it says of injections.
    pub injections: Injections,
    /// A hash of its content.
    pub fingerprint: String,
    source: Source,
}

/// Where a config came from, to point into it.
struct Source(Document);

impl Config {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, DocumentError> {
        Self::of(Document::read(path)?)
    }

    /// What a document says.
    pub(crate) fn of(document: Document) -> Result<Self, DocumentError> {
        let source = Source(document);
        let (proxies, injections) = source.parts()?;
        let fingerprint = blake3::hash(source.0.text().as_bytes()).to_hex().to_string();
        Ok(Self { proxies, injections, fingerprint, source })
    }

    /// An error about a field that only showed later; `proxy` is the number of
    /// the proxy that has it.
    pub(crate) fn refuse(&self, proxy: Option<usize>, error: Invalid) -> DocumentError {
        self.source.refuse(match proxy {
            Some(index) => error.within(&format!("proxies[{index}]")),
            None => error,
        })
    }
}

impl Source {
    fn parts(&self) -> Result<(Vec<ProxySpec>, Injections), DocumentError> {
        let mut injections = Injections::default();
        let list = match self.0.to_value() {
            Value::Array(list) => list,
            Value::Null => return Err(self.empty()),
            Value::Object(mut map) => {
                let list = map.remove("proxies");
                if let Some(section) = map.remove("injections").filter(|section| !section.is_null()) {
                    let read = Injections::read(section);
                    injections = read.map_err(|error| self.refuse(error.within("injections")))?;
                }
                if let Some(field) = map.keys().next() {
                    let known = ["proxies", "injections"];
                    return Err(self.refuse(Invalid::unknown("field of a config", field, &known)));
                }
                match list {
                    // A file that an editor has just emptied must not end every connection.
                    None | Some(Value::Null) => return Err(self.empty()),
                    Some(Value::Array(list)) => list,
                    Some(_) => return Err(self.refuse(Invalid::new("proxies", "must be a list"))),
                }
            }
            _ => return Err(self.refuse(Invalid::new("proxies", "must be a list of proxies"))),
        };
        let mut proxies: Vec<ProxySpec> = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            let at = format!("proxies[{index}]");
            let proxy = proxy(value).map_err(|error| self.refuse(error.within(&at)))?;
            if proxies.iter().any(|other| other.name == proxy.name) {
                let message = format!("`{}` is the name of an earlier proxy too", proxy.name);
                return Err(self.refuse(Invalid::new("name", message).within(&at)));
            }
            proxies.push(proxy);
        }
        Ok((proxies, injections))
    }

    fn empty(&self) -> DocumentError {
        self.refuse(Invalid::new("proxies", "is missing; an empty list says that there are none"))
    }

    fn refuse(&self, error: Invalid) -> DocumentError {
        // A file that is a list has no `proxies` to step into.
        let path = match self.0.to_value() {
            Value::Array(_) => error.field.strip_prefix("proxies").unwrap_or(&error.field),
            _ => error.field.as_str(),
        };
        self.0.refuse_at(path, &error.field, error.message)
    }
}

fn proxy(value: Value) -> Result<ProxySpec, Invalid> {
    let Value::Object(mut map) = value else {
        return Err(Invalid::new("", "must be an object with `name` and `upstream`"));
    };
    // As in Toxiproxy's files, null means absent.
    map.retain(|_, value| !value.is_null());
    let toxics = map.remove("toxics");
    let mut proxy: ProxySpec = read(Value::Object(map))?;
    if proxy.name.is_empty() {
        return Err(Invalid::new("name", "must not be empty"));
    }
    check_upstream(&proxy.upstream)?;
    // Both ends are written alike; an empty `listen` is a free port.
    if let Some(listen) = proxy.listen.as_deref().filter(|listen| !listen.is_empty()) {
        check_upstream(listen).map_err(|error| Invalid::new("listen", error.message))?;
    }
    proxy.toxics = match toxics {
        None => Vec::new(),
        Some(Value::Array(list)) => toxics_of(list)?,
        Some(_) => return Err(Invalid::new("toxics", "must be a list")),
    };
    Ok(proxy)
}

fn toxics_of(list: Vec<Value>) -> Result<Vec<ToxicSpec>, Invalid> {
    let mut toxics: Vec<ToxicSpec> = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let at = format!("toxics[{index}]");
        let Value::Object(map) = value else {
            return Err(Invalid::new(at, "must be an object with `type`"));
        };
        let toxic = ToxicSpec::from_map(map).map_err(|error| error.within(&at))?;
        if toxics.iter().any(|other| other.name == toxic.name) {
            let message = format!("`{}` is the name of an earlier toxic of this proxy too", toxic.name);
            return Err(Invalid::new("name", message).within(&at));
        }
        toxics.push(toxic);
    }
    Ok(toxics)
}

#[cfg(test)]
mod tests;
