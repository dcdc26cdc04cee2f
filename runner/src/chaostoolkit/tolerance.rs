//! Whether what a probe gave is fine.
//!
//! Values compare as Python compares them: `1`, `1.0` and `true` are equal, text and numbers are not.

mod path;

use regex::Regex;
use sabot_toxics::Invalid;
use serde_json::Value;

use super::check::{Object, given, optional_text, text, wrong};
use super::provider::Provider;
use super::scope::{Scope, to_text};

/// What is fine.
#[derive(Clone, Debug)]
pub(super) enum Tolerance {
    /// This value; a whole number is also compared with the `status` of an object.
    Is(Value),
    /// One of these; two of them are bounds, both of which are fine. Compared with the `status` of an
    /// object, where two are no bounds.
    Among(Vec<Value>),
    /// What another probe, which is given the value, says.
    Probe(Box<Provider>),
    /// Text that matches somewhere.
    Regex { pattern: String, target: Option<String> },
    /// What a path finds.
    JsonPath { path: String, target: Option<String>, count: Option<u64>, expect: Option<Value> },
    /// A number within bounds, both of which are fine.
    Range { from: f64, to: f64, target: Option<String> },
}

impl Tolerance {
    pub(super) fn read(value: &Value) -> Result<Self, Invalid> {
        match value {
            Value::Bool(_) | Value::String(_) => Ok(Self::Is(value.clone())),
            Value::Number(number) if number.is_i64() || number.is_u64() => Ok(Self::Is(value.clone())),
            Value::Array(list) => Ok(Self::Among(list.clone())),
            Value::Object(object) => Self::read_object(object),
            other => Err(wrong(
                "",
                "a whole number, text, true or false, a list, or an object with a `type`; write a number with \
                 a fraction as a range of two",
                other,
            )),
        }
    }

    fn read_object(object: &Object) -> Result<Self, Invalid> {
        let target = || optional_text(object, "target").map(|target| target.map(str::to_owned));
        match text(object, "type")? {
            "probe" => Ok(Self::Probe(Box::new(Provider::read_judge(object)?))),
            "regex" => {
                let pattern = text(object, "pattern")?;
                // A pattern with a name in it is known only when it is filled in.
                if !pattern.contains("${") {
                    compile(pattern).map_err(|message| Invalid::new("pattern", message))?;
                }
                Ok(Self::Regex { pattern: pattern.to_owned(), target: target()? })
            }
            "jsonpath" => {
                let path = text(object, "path")?;
                if !path.contains("${") {
                    path::parse(path).map_err(|message| Invalid::new("path", message))?;
                }
                let count = given(object, "count");
                let count = count
                    .map(|count| count.as_u64().ok_or_else(|| wrong("count", "a whole number", count)))
                    .transpose()?;
                let expect = object.get("expect").cloned();
                Ok(Self::JsonPath { path: path.to_owned(), target: target()?, count, expect })
            }
            "range" => {
                let range = object.get("range").ok_or_else(|| Invalid::new("range", "is missing"))?;
                let bounds = range.as_array().map(Vec::as_slice);
                let bounds = match bounds {
                    Some([from, to]) => from.as_f64().zip(to.as_f64()),
                    _ => None,
                };
                let (from, to) = bounds.ok_or_else(|| wrong("range", "a list of two numbers", range))?;
                Ok(Self::Range { from, to, target: target()? })
            }
            other => {
                let message = format!("`{other}` is not known, known are: probe, regex, jsonpath, range");
                Err(Invalid::new("type", message))
            }
        }
    }

    /// Whether `value` is fine; for a probe see [`Provider::judge`].
    ///
    /// # Errors
    /// It cannot be judged, and why: it then counts as not fine.
    pub(super) fn holds(&self, value: &Value, scope: &Scope) -> Result<bool, String> {
        match self {
            Self::Is(Value::String(text)) => is(&scope.fill(&Value::String(text.clone())), value),
            Self::Is(wanted) => is(wanted, value),
            Self::Among(list) => among(list, value),
            Self::Probe(_) => Err("a probe has to be asked".to_owned()),
            Self::Regex { pattern, target } => {
                let pattern = compile(&scope.text(pattern))?;
                match aim(value, target.as_deref())? {
                    // In Python `$` is also before a newline at the very end.
                    Value::String(text) => Ok(pattern.is_match(text)
                        || text.strip_suffix('\n').is_some_and(|line| pattern.is_match(line))),
                    other => Err(format!("`{}` is no text to be matched; name a `target`", shown(other))),
                }
            }
            Self::JsonPath { path, target, count, expect } => {
                let expect = expect.as_ref().map(|expect| scope.fill(expect));
                let value = aim(value, target.as_deref())?;
                finds(&scope.text(path), value, *count, expect.as_ref())
            }
            Self::Range { from, to, target } => {
                let value = aim(value, target.as_deref())?;
                let number = match value {
                    Value::String(text) => text.trim().parse().ok(),
                    other => number(other),
                };
                let number: f64 = number.ok_or_else(|| format!("`{}` is no number", shown(value)))?;
                Ok(*from <= number && number <= *to)
            }
        }
    }
}

/// What of `value` is meant: the part of that name, if it has one.
fn aim<'v>(value: &'v Value, target: Option<&str>) -> Result<&'v Value, String> {
    match (target, value) {
        (None, value) => Ok(value),
        (Some(target), Value::Object(map)) => Ok(map.get(target).unwrap_or(value)),
        (Some(target), other) => Err(format!("`{}` has no `{target}`", shown(other))),
    }
}

fn is(wanted: &Value, value: &Value) -> Result<bool, String> {
    match wanted {
        Value::Number(_) | Value::Bool(_) => {
            let status = if wanted.is_number() { value.get("status") } else { None };
            Ok(equal(wanted, status.unwrap_or(value)))
        }
        // A text may stand for a value of any type.
        Value::Array(list) => among(list, value),
        wanted => Ok(equal(wanted, value)),
    }
}

fn among(list: &[Value], value: &Value) -> Result<bool, String> {
    if let Some(status) = value.get("status") {
        return Ok(list.iter().any(|one| equal(one, status)));
    }
    let [from, to] = list else { return Ok(list.iter().any(|one| equal(one, value))) };
    if let (Some(from), Some(value), Some(to)) = (number(from), number(value), number(to)) {
        return Ok(from <= value && value <= to);
    }
    if let (Some(from), Some(value), Some(to)) = (from.as_str(), value.as_str(), to.as_str()) {
        return Ok(from <= value && value <= to);
    }
    Err(format!("`{}` does not compare with {} and {}: a list of two is a range", shown(value), from, to))
}

fn finds(path: &str, value: &Value, count: Option<u64>, expect: Option<&Value>) -> Result<bool, String> {
    let read = match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        value => value.clone(),
    };
    let found = path::find(path, read)?;
    if let Some(expect) = expect {
        let wanted = match expect {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        return Ok(found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| equal(a, b)));
    }
    Ok(count.map_or(!found.is_empty(), |count| found.len() as u64 == count))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("is no pattern that Sabot knows: {reason}")
    })
}

/// As Python's `==`.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(|on| f64::from(u8::from(on))))
}

/// The beginning of a value, for an error.
fn shown(value: &Value) -> String {
    to_text(value).chars().take(60).collect()
}

#[cfg(test)]
mod tests;
