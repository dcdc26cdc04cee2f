//! `key=value` as people type it: attributes of toxics, their `when`, and TLS.

use serde_json::{Map, Value};

use crate::shape::Shape;

/// One `key=value`, not yet read as anything.
pub(crate) type Pair = (String, String);

/// Splits at the first `=`; a part of the key may stand in double quotes.
pub(crate) fn parse(pair: &str) -> Result<Pair, String> {
    let mut quoted = false;
    let at = pair.find(|char| {
        quoted ^= char == '"';
        char == '=' && !quoted
    });
    match at.map(|at| (pair[..at].trim(), pair[at + 1..].trim())) {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected key=value, such as latency=250us".to_owned()),
    }
}

/// A condition; `clients` may also be a list with commas.
pub(crate) fn parse_when(pair: &str) -> Result<(String, Value), String> {
    let (key, text) =
        parse(pair).map_err(|_| "expected key=value, such as first=10 or expires_after=30s".to_owned())?;
    Ok(match typed(&text) {
        Value::String(text) if key == "clients" => (key, listed(&text)),
        value => (key, value),
    })
}

/// A number, a boolean or other JSON where the text reads as such, else the text:
/// `latency=50`, `latency=250us`, `shared=true`, `clients=["10.0.0.0/8"]`.
pub(crate) fn typed(text: &str) -> Value {
    // JSON wants a digit before the point.
    let whole = if text.starts_with('.') { format!("0{text}") } else { text.to_owned() };
    serde_json::from_str(&whole).unwrap_or_else(|_| text.into())
}

/// What stands between commas.
pub(crate) fn listed(text: &str) -> Value {
    text.split(',').map(|part| Value::from(part.trim())).collect()
}

/// Pairs in their order; the last of two with one key counts. `match.path=/x` is
/// the field `path` of the object `match`. What the value may be, and where a name
/// with dots ends, the shape knows.
pub(crate) fn map(pairs: &[Pair], shape: Shape) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, text) in pairs {
        put(&mut map, &parts(key), text, shape);
    }
    map
}

/// A key at its dots, but for those in quotes.
fn parts(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for char in key.chars() {
        match (char, parts.last_mut()) {
            ('"', _) => quoted = !quoted,
            ('.', _) if !quoted => parts.push(String::new()),
            (char, Some(part)) => part.push(char),
            (_, None) => {}
        }
    }
    parts
}

fn put(map: &mut Map<String, Value>, parts: &[String], text: &str, shape: Shape) {
    let (name, rest, shape) = shape.step(parts);
    if rest.is_empty() {
        map.insert(name, shape.read(text));
        return;
    }
    let inner = map.entry(name).or_insert_with(|| Map::new().into());
    if !inner.is_object() {
        *inner = Map::new().into();
    }
    if let Value::Object(inner) = inner {
        put(inner, rest, text, shape);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Map, Shape, map, parse, parse_when};

    fn given(kind: &str, pairs: &[&str]) -> Map<String, Value> {
        let pairs: Vec<_> = pairs.iter().map(|pair| parse(pair).unwrap()).collect();
        map(&pairs, Shape::of_kind(kind))
    }

    #[test]
    fn dots_lead_into_objects() {
        let pairs = ["status=503", "match.path=/a", "match.headers.x-user=7", "match.path.prefix=/b"];
        let expected = json!({
            "status": 503,
            "match": {"path": {"prefix": "/b"}, "headers": {"x-user": "7"}},
        });
        assert_eq!(json!(given("http_abort", &pairs)), expected);
        assert_eq!(json!(given("of another server", &["a.b=1"])), json!({"a": {"b": 1}}));
    }

    #[test]
    fn values_are_what_they_read_as() {
        for (pair, key, value) in [
            ("latency=50", "latency", json!(50)),
            ("latency=0.25", "latency", json!(0.25)),
            ("latency=.25", "latency", json!(0.25)),
            ("latency=250us", "latency", json!("250us")),
            ("shared=true", "shared", json!(true)),
            ("headers={\"a\":\"b\"}", "headers", json!({"a": "b"})),
            ("body=a=b", "body", json!("a=b")),
            ("body=", "body", json!("")),
            ("body=\"5\"", "body", json!("5")),
        ] {
            let found = map(&[parse(pair).unwrap()], Shape::UNKNOWN);
            assert_eq!(json!(found), json!({key: value}), "{pair}");
        }
        assert!(parse("latency").is_err() && parse("=5").is_err() && parse("\"a=5").is_err());
    }

    #[test]
    fn what_is_text_stays_as_it_was_typed() {
        for (kind, pair, value) in [
            ("http_headers", "set.x-version=1.10", json!({"set": {"x-version": "1.10"}})),
            ("http_headers", "set.etag=\"5\"", json!({"set": {"etag": "\"5\""}})),
            (
                "http_abort",
                "match.headers.x-id=12345678901234567890123",
                json!({"match": {"headers": {"x-id": "12345678901234567890123"}}}),
            ),
            ("http_abort", "match.query.v=1e3", json!({"match": {"query": {"v": "1e3"}}})),
            ("http_abort", "match.query.v.prefix=1e3", json!({"match": {"query": {"v": {"prefix": "1e3"}}}})),
            ("http_abort", "body={\"error\":\"down\"}", json!({"body": "{\"error\":\"down\"}"})),
            ("http_abort", "body=null", json!({"body": "null"})),
            ("http_body", "replace=null", json!({"replace": "null"})),
            ("status_code", "response_body=true", json!({"response_body": "true"})),
        ] {
            assert_eq!(json!(given(kind, &[pair])), value, "{pair}");
        }
    }

    #[test]
    fn what_is_no_text_is_read_as_ever() {
        for (kind, pair, value) in [
            ("http_abort", "status=503", json!({"status": 503})),
            ("http_abort", "status=[503,504]", json!({"status": [503, 504]})),
            ("http_abort", "match.status=5xx", json!({"match": {"status": "5xx"}})),
            ("http_abort", "match.method=POST, PUT", json!({"match": {"method": ["POST", "PUT"]}})),
            ("http_abort", "match.path={\"prefix\":\"/a\"}", json!({"match": {"path": {"prefix": "/a"}}})),
            ("http_abort", "match.path={a}", json!({"match": {"path": "{a}"}})),
            ("http_headers", "remove=[\"a\",\"b\"]", json!({"remove": ["a", "b"]})),
            ("http_headers", "remove=1.10", json!({"remove": ["1.10"]})),
            ("http_body", "merge.a.b=1", json!({"merge": {"a": {"b": 1}}})),
            ("tls_version", "only=1.2", json!({"only": 1.2})),
            ("latency", "latncy=1", json!({"latncy": 1})),
        ] {
            assert_eq!(json!(given(kind, &[pair])), value, "{pair}");
        }
    }

    #[test]
    fn null_takes_back_what_an_update_names() {
        let pairs = ["body=null", "match.headers.a=null"].map(|pair| parse(pair).unwrap());
        let changes = map(&pairs, Shape::of_kind("http_abort").of_change());
        assert_eq!(json!(changes), json!({"body": null, "match": {"headers": {"a": null}}}));
    }

    #[test]
    fn names_may_have_dots() {
        for (kind, pair, value) in [
            ("http_abort", "match.headers.x.y=1", json!({"match": {"headers": {"x.y": "1"}}})),
            ("http_abort", "match.query.a.b.prefix=1", json!({"match": {"query": {"a.b": {"prefix": "1"}}}})),
            ("http_abort", "match.query.\"a.prefix\"=1", json!({"match": {"query": {"a.prefix": "1"}}})),
            ("http_abort", "match.query.prefix=1", json!({"match": {"query": {"prefix": "1"}}})),
            ("http_abort", "match.query={\"a.b\":\"1\"}", json!({"match": {"query": {"a.b": "1"}}})),
            ("http_rewrite", "set_query.a.b=1", json!({"set_query": {"a.b": "1"}})),
            ("http_rewrite", "set_query.\"a=b\"=1", json!({"set_query": {"a=b": "1"}})),
            ("http_body", "merge.\"a.b\"=1", json!({"merge": {"a.b": 1}})),
        ] {
            assert_eq!(json!(given(kind, &[pair])), value, "{pair}");
        }
    }

    #[test]
    fn clients_are_a_list() {
        let both = json!(["10.0.0.0/8", "::1"]);
        assert_eq!(parse_when("clients=10.0.0.0/8, ::1").unwrap().1, both);
        assert_eq!(parse_when("clients=[\"10.0.0.0/8\",\"::1\"]").unwrap().1, both);
        assert_eq!(parse_when("first=2").unwrap().1, json!(2));
        assert_eq!(parse_when("duty=.5").unwrap().1, json!(0.5));
    }
}
