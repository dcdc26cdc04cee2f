//! A tree of values read into a type, with errors that name the field and the remedy.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The value as a `T`, or the path of the field that keeps it from being one, and why.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        located(path.trim_start_matches('.'), &error.inner().to_string())
    })
}

/// serde names unknown and missing fields in its text only.
fn located(path: &str, message: &str) -> (String, String) {
    let path = if path == "." { "" } else { path };
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let (true, [field, known @ ..]) = (message.starts_with("unknown field `"), names.as_slice()) {
        return (within(path, field), format!("unknown field{}", suggestion(field, known)));
    }
    if let (true, [variant, known @ ..]) = (message.starts_with("unknown variant `"), names.as_slice()) {
        return (path.to_owned(), format!("`{variant}` is not known here{}", suggestion(variant, known)));
    }
    if let (true, [field, ..]) = (message.starts_with("missing field `"), names.as_slice()) {
        return (within(path, field), "is missing".to_owned());
    }
    (path.to_owned(), message.to_owned())
}

fn within(path: &str, field: &str) -> String {
    match path {
        "" => field.to_owned(),
        // The path of an unknown field may hold it already.
        path if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
        path => format!("{path}.{field}"),
    }
}

/// "did you mean …?", or the list of what there is.
fn suggestion(given: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given.to_lowercase(), &name.to_lowercase()), *name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3);
    match near {
        Some((_, name)) => format!(", did you mean `{name}`?"),
        None if known.is_empty() => String::new(),
        None => format!(", known are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::located;

    #[test]
    fn what_serde_says_becomes_a_field_and_a_remedy() {
        for (path, said, field, message) in [
            ("", "unknown field `rat`, expected one of `rate`, `for`", "rat", "did you mean `rate`?"),
            ("load", "unknown field `rat`, expected `rate`", "load.rat", "did you mean `rate`?"),
            ("load.rat", "unknown field `rat`, expected `rate`", "load.rat", "did you mean `rate`?"),
            ("load", "missing field `rate`", "load.rate", "is missing"),
            ("a[1].kind", "unknown variant `htp`, expected `http` or `sql`", "a[1].kind", "`http`?"),
            ("a", "invalid type: string \"x\", expected u64", "a", "expected u64"),
        ] {
            let (at, remedy) = located(path, said);
            assert_eq!(at, field, "{said}");
            assert!(remedy.contains(message), "{remedy}");
        }
    }
}
