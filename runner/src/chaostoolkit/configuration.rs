//! The values behind `${name}`: the file's `configuration` and `secrets`, and what stands for them.

use std::collections::BTreeMap;

use sabot_toxics::Invalid;
use serde_json::{Map, Value};

use super::check::{self, Object, given, object, text};
use super::scope::Scope;

/// Where variables of the environment come from: what was set for this run, then the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookup<'a> {
    /// By name; `name:type` gives it a type.
    pub(super) set: &'a [(String, String)],
}

impl Lookup<'_> {
    /// What was set for `name`, with the type that was set with it.
    fn set(&self, name: &str) -> Option<(Option<&str>, &str)> {
        self.set.iter().rev().find_map(|(key, value)| {
            let (key, kind) = match key.rsplit_once(':') {
                Some((key, kind)) => (key, Some(kind)),
                None => (key.as_str(), None),
            };
            (key == name).then_some((kind, value.as_str()))
        })
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.set(name).map(|(_, value)| value.to_owned()).or_else(|| std::env::var(name).ok())
    }
}

/// All values that are known before the run.
pub(super) fn read(file: &Object, lookup: &Lookup<'_>) -> Result<Scope, Invalid> {
    let mut scope = Scope::default();
    if let Some(all) = check::optional_object(file, "configuration")? {
        for (name, value) in all {
            let value = configured(name, value, lookup)
                .map_err(|error| error.within(&format!("configuration.{name}")))?;
            scope.configuration.insert(name.clone(), value);
        }
    }
    if let Some(all) = check::optional_object(file, "secrets")? {
        scope.secrets = secrets(all, lookup).map_err(|error| error.within("secrets"))?;
    }
    let plain = |(name, value): &(String, String)| {
        let name = name.split(':').next().unwrap_or_default();
        (name.to_owned(), value.clone())
    };
    scope.environment = lookup.set.iter().map(plain).collect::<BTreeMap<_, _>>();
    Ok(scope)
}

fn configured(name: &str, value: &Value, lookup: &Lookup<'_>) -> Result<Value, Invalid> {
    if let Some((kind, text)) = lookup.set(name) {
        return typed(kind, Value::String(text.to_owned())).map_err(|message| Invalid::new("", message));
    }
    let Some(spec) = value.as_object().filter(|spec| kind(spec) == Some("env")) else {
        return Ok(value.clone());
    };
    let key = text(spec, "key")?;
    let found = lookup.environment(key).map(Value::String).or_else(|| spec.get("default").cloned());
    let found = found.ok_or_else(|| unset(key))?;
    let kind = check::optional_text(spec, "env_var_type")?;
    typed(kind, found).map_err(|message| Invalid::new("env_var_type", message))
}

fn secrets(of: &Object, lookup: &Lookup<'_>) -> Result<Map<String, Value>, Invalid> {
    let secret = |(name, value): (&String, &Value)| {
        let value = match value.as_object() {
            None => Ok(value.clone()),
            Some(spec) if kind(spec) == Some("env") => {
                let key = text(spec, "key").map_err(|error| error.within(name))?;
                lookup.environment(key).map(Value::String).ok_or_else(|| unset(key).within(name))
            }
            Some(spec) if kind(spec) == Some("vault") => {
                let message = "Sabot reads no Vault: put it into the environment and write `type: env`";
                Err(Invalid::new(format!("{name}.type"), message))
            }
            Some(nested) => secrets(nested, lookup).map(Value::Object).map_err(|error| error.within(name)),
        };
        Ok((name.clone(), value?))
    };
    of.iter().map(secret).collect()
}

/// The probes whose answers are values, by name.
pub(super) fn dynamic(file: &Object) -> Result<Vec<(&String, &Object)>, Invalid> {
    let Some(all) = check::optional_object(file, "configuration")? else { return Ok(Vec::new()) };
    let probe =
        |(name, value)| Some((name, object("", value).ok().filter(|spec| kind(spec) == Some("probe"))?));
    Ok(all.iter().filter_map(probe).collect())
}

fn kind(spec: &Object) -> Option<&str> {
    given(spec, "type").and_then(Value::as_str)
}

fn unset(key: &str) -> Invalid {
    Invalid::new("key", format!("`{key}` is not set: set it in the environment or by `--set {key}=…`"))
}

/// `value` as a value of that type, by the rules of `chaos run --var`.
fn typed(kind: Option<&str>, value: Value) -> Result<Value, String> {
    let Value::String(text) = &value else { return Ok(value) };
    let wrong = |what: &str| format!("`{text}` is no {what}");
    match kind {
        None | Some("str" | "string" | "bytes") => Ok(value),
        Some("int" | "integer") => {
            text.trim().parse::<i64>().map(Value::from).map_err(|_| wrong("whole number"))
        }
        Some("float" | "number") => text.trim().parse::<f64>().map(Value::from).map_err(|_| wrong("number")),
        Some("bool") => Ok(Value::Bool(!matches!(text.to_lowercase().as_str(), "false" | "0" | "no"))),
        Some("json") if text.is_empty() => Ok(value),
        Some("json") => serde_json::from_str(text).map_err(|error| format!("no JSON: {error}")),
        Some(other) => Err(format!("`{other}` is no type; write str, int, float, bool, bytes or json")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope(file: &Value, set: &[(&str, &str)]) -> Result<Scope, Invalid> {
        let set: Vec<_> = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        read(file.as_object().unwrap(), &Lookup { set: &set })
    }

    #[test]
    fn configuration_comes_from_the_file_what_was_set_and_the_environment() {
        let file = json!({"configuration": {
            "plain": {"a": 1},
            "port": {"type": "env", "key": "SABOT_TEST_PORT", "env_var_type": "int"},
            "host": {"type": "env", "key": "SABOT_TEST_HOST_THAT_NOBODY_SETS", "default": "here"},
            "over": "file",
        }});
        let set = [("SABOT_TEST_PORT", "80"), ("over:json", "[1]"), ("other", "x")];
        let scope = scope(&file, &set).unwrap();
        let expected = json!({"plain": {"a": 1}, "port": 80, "host": "here", "over": [1]});
        assert_eq!(Value::Object(scope.configuration), expected);
        assert_eq!(scope.environment["SABOT_TEST_PORT"], "80");
    }

    #[test]
    fn secrets_nest() {
        let file = json!({"secrets": {"api": {"token": {"type": "env", "key": "T"}, "inline": "x"}}});
        let scope = scope(&file, &[("T", "t")]).unwrap();
        assert_eq!(scope.value("token"), Some(&json!("t")));
        assert_eq!(scope.value("inline"), Some(&json!("x")));
    }

    #[test]
    fn what_has_no_value_is_refused_by_name() {
        let env = |key: &str| json!({"type": "env", "key": key, "env_var_type": "int"});
        let nobody = "SABOT_TEST_THAT_NOBODY_SETS";
        for (file, field, told) in [
            (json!({"configuration": {"a": env(nobody)}}), "configuration.a.key", "--set"),
            (json!({"configuration": {"a": env("X")}}), "configuration.a.env_var_type", "whole number"),
            (json!({"configuration": {"a": {"type": "env"}}}), "configuration.a.key", "missing"),
            (json!({"secrets": {"a": {"b": env(nobody)}}}), "secrets.a.b.key", "--set"),
            (json!({"secrets": {"a": {"b": {"type": "vault"}}}}), "secrets.a.b.type", "no Vault"),
        ] {
            let error = scope(&file, &[("X", "x")]).unwrap_err();
            assert_eq!(error.field, field);
            assert!(error.message.contains(told), "{}", error.message);
        }
    }
}
