//! What names mean in the templates of one endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sabot_toxics::{Invalid, Seed, suggestion};
use serde_json::Value;

use super::function::{FUNCTIONS, Function};
use super::parse::{Piece, pieces};
use super::{Draw, Escape, Template, What};
use crate::load::plan::Scalar;

/// The names that the templates of one endpoint know; templates are read into it one after another.
pub(crate) struct Scope<'a> {
    seed: Seed,
    vars: &'a BTreeMap<String, Scalar>,
    captured: &'a BTreeSet<String>,
    /// Draws that were given a name by `as`.
    named: BTreeMap<String, What>,
    places: u64,
}

impl<'a> Scope<'a> {
    /// The scope of the endpoint called `endpoint`.
    pub(crate) fn new(
        seed: &Seed,
        endpoint: &str,
        vars: &'a BTreeMap<String, Scalar>,
        captured: &'a BTreeSet<String>,
    ) -> Self {
        let seed = seed.split("values").split(endpoint);
        Self { seed, vars, captured, named: BTreeMap::new(), places: 0 }
    }

    /// Reads the template of the field `field`.
    ///
    /// # Errors
    /// It does not end, or calls what there is not, or calls it wrongly.
    pub(crate) fn read(&mut self, field: &str, text: &str, escape: Escape) -> Result<Template, Invalid> {
        let mut template = Template::default();
        for piece in pieces(text).map_err(|message| Invalid::new(field, message))? {
            match piece {
                Piece::Text(text) => template.push(What::Text(text.to_owned()), Escape::None),
                Piece::Call(call) => {
                    let what = self
                        .call(call)
                        .map_err(|message| Invalid::new(field, format!("`{{{{{call}}}}}`: {message}")))?;
                    template.push(what, escape);
                }
            }
        }
        Ok(template)
    }

    /// Reads a body: text as it is, anything else as JSON whose texts are templates.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn body(&mut self, field: &str, body: &Value) -> Result<Template, Invalid> {
        match body {
            Value::String(text) => self.read(field, text, Escape::None),
            other => {
                let mut template = Template::default();
                self.json(field, other, &mut template)?;
                Ok(template)
            }
        }
    }

    fn json(&mut self, field: &str, value: &Value, out: &mut Template) -> Result<(), Invalid> {
        let mut text = |text: &str| out.push(What::Text(text.to_owned()), Escape::None);
        match value {
            Value::Array(list) => {
                text("[");
                for (at, value) in list.iter().enumerate() {
                    if at > 0 {
                        out.push(What::Text(",".to_owned()), Escape::None);
                    }
                    self.json(&format!("{field}[{at}]"), value, out)?;
                }
                out.push(What::Text("]".to_owned()), Escape::None);
            }
            Value::Object(map) => {
                text("{");
                for (at, (key, value)) in map.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    let key_text = format!("{comma}{}:", Value::from(key.as_str()));
                    out.push(What::Text(key_text), Escape::None);
                    self.json(&format!("{field}.{key}"), value, out)?;
                }
                out.push(What::Text("}".to_owned()), Escape::None);
            }
            Value::String(string) => self.json_text(field, string, out)?,
            other => text(&other.to_string()),
        }
        Ok(())
    }

    fn json_text(&mut self, field: &str, text: &str, out: &mut Template) -> Result<(), Invalid> {
        let template = self.read(field, text, Escape::Json)?;
        let number = template.is_number();
        let quote = || What::Text(if number { "" } else { "\"" }.to_owned());
        out.push(quote(), Escape::None);
        for part in template.parts {
            match part.what {
                What::Text(text) => {
                    let mut escaped = String::new();
                    Escape::Json.write(&text, &mut escaped);
                    out.push(What::Text(escaped), Escape::None);
                }
                what => out.push(what, if number { Escape::None } else { Escape::Json }),
            }
        }
        out.push(quote(), Escape::None);
        Ok(())
    }

    fn call(&mut self, call: &str) -> Result<What, String> {
        let mut words: Vec<&str> = call.split_whitespace().collect();
        let name = match words.as_slice() {
            [_, .., "as", name] => {
                let name = (*name).to_owned();
                words.truncate(words.len() - 2);
                Some(name)
            }
            _ => None,
        };
        let Some((function, args)) = words.split_first() else {
            return Err("it is empty: write a function or a name into it".to_owned());
        };
        let what = self.what(function, args)?;
        if let Some(name) = name {
            if self.knows(&name) {
                return Err(format!("`{name}` has a meaning already: choose another name"));
            }
            self.named.insert(name, what.clone());
        }
        Ok(what)
    }

    fn knows(&self, name: &str) -> bool {
        FUNCTIONS.iter().any(|(function, _)| *function == name)
            || self.named.contains_key(name)
            || self.vars.contains_key(name)
            || self.captured.contains(name)
    }

    fn what(&mut self, function: &str, args: &[&str]) -> Result<What, String> {
        match (function, args) {
            ("seq", []) => return Ok(What::Number),
            ("tenant", []) => return Ok(What::Tenant),
            ("seq" | "tenant", _) => return Err("it takes no argument".to_owned()),
            ("env", [name]) => {
                let value = std::env::var(name);
                return value.map(What::Text).map_err(|_| format!("the environment has no `{name}`: set it"));
            }
            ("env", _) => return Err("it takes the name of a variable of the environment".to_owned()),
            _ => {}
        }
        if let Some(parsed) = Function::parse(function, args) {
            let seed = self.seed.split_n(self.places);
            self.places += 1;
            let usage =
                || FUNCTIONS.iter().find(|(name, _)| *name == function).map_or("", |(_, usage)| usage);
            let function = parsed.map_err(|message| format!("{message}, as in {}", usage()))?;
            return Ok(What::Draw(Arc::new(Draw { function, seed })));
        }
        if let ([], Some(what)) = (args, self.named.get(function)) {
            return Ok(what.clone());
        }
        if let ([], Some(Scalar(text))) = (args, self.vars.get(function)) {
            return Ok(What::Text(text.clone()));
        }
        if args.is_empty() && self.captured.contains(function) {
            return Ok(What::Captured(function.to_owned()));
        }
        let functions = FUNCTIONS.iter().map(|(name, _)| *name);
        let named = self.named.keys().chain(self.vars.keys()).chain(self.captured).map(String::as_str);
        let known: Vec<&str> = functions.chain(named).collect();
        Err(format!("there is no `{function}`{}", suggestion(function, &known)))
    }
}
