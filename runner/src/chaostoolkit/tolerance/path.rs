//! JSON paths as the Chaos Toolkit's library, jsonpath2, reads them.
//!
//! They are those of RFC 9535 but for filters: `[?(…)]` keeps or drops the values that were found so
//! far, where the RFC's looks at their members, and says `=`, `and` and `or`. Without the parentheses,
//! which jsonpath2 demands, a filter is the RFC's.

use serde_json::Value;
use serde_json_path::JsonPath;

/// What a filter of jsonpath2 begins with, as a path of its own.
const FILTER: &str = "$[?(";

/// A part of a path.
#[derive(Debug)]
pub(super) enum Piece {
    /// Finds what it names within each value that was found so far.
    Steps(JsonPath),
    /// Finds those of the values themselves that it lets through, as the members of a list.
    Filter(JsonPath),
}

/// All that `path` finds in `value`.
///
/// # Errors
/// It is no path.
pub(super) fn find(path: &str, value: Value) -> Result<Vec<Value>, String> {
    let mut found = vec![value];
    for piece in parse(path)? {
        found = match piece {
            Piece::Steps(steps) => found.iter().flat_map(|value| steps.query(value)).cloned().collect(),
            Piece::Filter(filter) => filter.query(&Value::Array(found)).into_iter().cloned().collect(),
        };
    }
    Ok(found)
}

/// The parts of a path, each from what the one before it found.
///
/// # Errors
/// It is no path.
pub(super) fn parse(path: &str) -> Result<Vec<Piece>, String> {
    let path = modern(path.trim());
    let parse = |piece: String| match JsonPath::parse(&piece) {
        Ok(filter) if piece.starts_with(FILTER) => Ok(Piece::Filter(filter)),
        Ok(steps) => Ok(Piece::Steps(steps)),
        Err(error) => {
            Err(format!("`{piece}` is no JSON path ({error}); one is `$.items[*][?(@.ready = true)].id`"))
        }
    };
    pieces(&path).into_iter().map(parse).collect()
}

/// Cuts the path before and after each filter.
fn pieces(path: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let (mut piece, mut depth, mut quote) = (String::new(), 0_usize, None);
    for (at, c) in path.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => {
                if depth == 0 && path[at..].starts_with(&FILTER[1..]) {
                    pieces.push(std::mem::replace(&mut piece, "$".to_owned()));
                }
                depth += 1;
            }
            (None, ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        piece.push(c);
        if c == ']' && depth == 0 && quote.is_none() && piece.starts_with(FILTER) {
            pieces.push(std::mem::replace(&mut piece, "$".to_owned()));
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| piece != "$");
    pieces
}

/// `=`, `and` and `or` of filters in the words of the RFC.
fn modern(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut quote = None;
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '=') if !out.ends_with(['=', '!', '<', '>']) && !after.starts_with(['=', '~']) => {
                out.push('=');
            }
            (None, ' ') => {
                let word = |word: &str| rest.strip_prefix(word).filter(|_| out.contains('?'));
                let and = word(" and ").map(|rest| (" && ", rest));
                if let Some((sign, after)) = and.or_else(|| word(" or ").map(|rest| (" || ", rest))) {
                    out.push_str(sign);
                    rest = after;
                    continue;
                }
            }
            _ => {}
        }
        out.push(c);
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_look_at_what_was_found() {
        let value = json!({
            "parts": [{"name": "a", "load": 0.5}, {"name": "b", "load": 2}],
            "object": {"x": {"l": 2}, "y": {"l": 0}},
        });
        // As jsonpath2 0.4.5 answers, but for the last two, which it does not read.
        for (path, found) in [
            ("$.parts[?(@.load > 1)]", json!([])),
            ("$.parts[*][?(@.load > 1)]", json!([{"name": "b", "load": 2}])),
            ("$.parts[*][?(@.name = \"b\")].name", json!(["b"])),
            ("$.parts[*][?(@.load=2 and @.name=\"b\")].load", json!([2])),
            ("$.parts[0][?(@.name=\"a\")].load", json!([0.5])),
            ("$.object[?(@.l=2)]", json!([])),
            ("$.parts[?(@.name)]", json!([])),
            ("$[?(@.parts)].object.y", json!([{"l": 0}])),
            ("$", json!([value.clone()])),
            ("$.parts[?@.load > 1].name", json!(["b"])),
            ("$.parts[?@.load > 1 || @.name == 'a'].name", json!(["a", "b"])),
        ] {
            assert_eq!(find(path, value.clone()), Ok(found.as_array().cloned().unwrap()), "{path}");
        }
        for path in ["", "parts", "$.parts[", "$.parts[*][?(@.load >)]", "[?(@.a)]", "$a"] {
            assert!(find(path, value.clone()).unwrap_err().contains("no JSON path"), "{path}");
        }
    }

    #[test]
    fn words_of_filters_are_written_anew() {
        for (old, new) in [
            ("$.a[?(@.b = 1)]", "$.a[?(@.b == 1)]"),
            ("$.a[?(@.b=\"x=y and z\" and @.c>=2)]", "$.a[?(@.b==\"x=y and z\" && @.c>=2)]"),
            ("$.a[?@.b == 1 or @.c != 2]", "$.a[?@.b == 1 || @.c != 2]"),
            ("$['this and that']", "$['this and that']"),
        ] {
            assert_eq!(modern(old), new);
        }
    }
}
