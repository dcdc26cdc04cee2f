//! `${NAME}` and `${NAME:-default}` in the texts of a file.
//!
//! So that one committed file fits every machine: ports and hosts come from the environment or from
//! `--set`. `$$` is a dollar sign.

use std::collections::BTreeMap;

/// Values by name; a name that is not here is looked up in the environment.
#[derive(Clone, Debug, Default)]
pub struct Vars {
    set: BTreeMap<String, String>,
    environment: bool,
}

impl Vars {
    /// These, and the environment.
    #[must_use]
    pub fn new(set: BTreeMap<String, String>) -> Self {
        Self { set, environment: true }
    }

    /// These only.
    #[must_use]
    pub fn only(set: BTreeMap<String, String>) -> Self {
        Self { set, environment: false }
    }

    /// Adds what is not set yet.
    pub fn add_defaults(&mut self, more: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in more {
            self.set.entry(name).or_insert(value);
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        let own = self.set.get(name).cloned();
        own.or_else(|| self.environment.then(|| std::env::var(name).ok()).flatten())
    }

    /// `text` with its variables filled in.
    ///
    /// # Errors
    /// A variable has no value and no default, or its braces do not close.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                filled.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let Some((inner, after)) = after.split_once('}') else {
                    return Err(format!("`${{{after}` lacks its `}}`; a dollar sign is written `$$`"));
                };
                let (name, default) = match inner.split_once(":-") {
                    Some((name, default)) => (name, Some(default.to_owned())),
                    None => (inner, None),
                };
                let value = self.value(name).or(default).ok_or_else(|| {
                    format!("`{name}` is not set: set it in the environment or by `--set {name}=…`")
                })?;
                filled.push_str(&value);
                rest = after;
            } else {
                filled.push('$');
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let vars = Vars::only(BTreeMap::from([("HOST".to_owned(), "here".to_owned())]));
        for (text, filled) in [
            ("http://${HOST}:80", "http://here:80"),
            ("${PORT:-8080}/${HOST:-there}", "8080/here"),
            ("a $5 b $$ {{x}}", "a $5 b $ {{x}}"),
            ("", ""),
        ] {
            assert_eq!(vars.fill(text).unwrap(), filled, "{text}");
        }
        assert!(vars.fill("${PORT}").unwrap_err().contains("--set PORT=…"));
        assert!(vars.fill("${PORT").unwrap_err().contains("lacks its"));
    }
}
