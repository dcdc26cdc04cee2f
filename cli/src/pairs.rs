//! `key=value` as people type it: attributes of toxics and their `when`.

use serde_json::{Map, Value};

/// Splits at the first `=`. A value is a number, a boolean or other JSON where
/// it reads as such, else text: `latency=50`, `latency=250us`, `shared=true`,
/// `clients=["10.0.0.0/8"]`.
pub(crate) fn parse(pair: &str) -> Result<(String, Value), String> {
    match pair.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), typed(value.trim()))),
        _ => Err("expected key=value, such as latency=250us".to_owned()),
    }
}

/// As [`parse`]; `clients` may also be a list with commas.
pub(crate) fn parse_when(pair: &str) -> Result<(String, Value), String> {
    let (key, value) =
        parse(pair).map_err(|_| "expected key=value, such as first=10 or expires_after=30s".to_owned())?;
    Ok(match value {
        Value::String(text) if key == "clients" => {
            (key, text.split(',').map(|address| Value::from(address.trim())).collect())
        }
        value => (key, value),
    })
}

fn typed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// Pairs in their order; the last of two with one key counts. `match.path=/x` is
/// the field `path` of the object `match`.
pub(crate) fn map(pairs: &[(String, Value)]) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, value) in pairs {
        put(&mut map, key, value.clone());
    }
    map
}

fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    let Some((first, rest)) = key.split_once('.') else {
        map.insert(key.to_owned(), value);
        return;
    };
    let inner = map.entry(first).or_insert_with(|| Map::new().into());
    if !inner.is_object() {
        *inner = Map::new().into();
    }
    if let Value::Object(inner) = inner {
        put(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{map, parse, parse_when};

    #[test]
    fn dots_lead_into_objects() {
        let pairs = ["status=503", "match.path=/a", "match.headers.x-user=7", "match.path.prefix=/b"];
        let pairs: Vec<_> = pairs.iter().map(|pair| parse(pair).unwrap()).collect();
        let expected = json!({
            "status": 503,
            "match": {"path": {"prefix": "/b"}, "headers": {"x-user": 7}},
        });
        assert_eq!(json!(map(&pairs)), expected);
    }

    #[test]
    fn values_are_what_they_read_as() {
        for (pair, key, value) in [
            ("latency=50", "latency", json!(50)),
            ("latency=0.25", "latency", json!(0.25)),
            ("latency=250us", "latency", json!("250us")),
            ("shared=true", "shared", json!(true)),
            ("headers={\"a\":\"b\"}", "headers", json!({"a": "b"})),
            ("body=a=b", "body", json!("a=b")),
            ("body=", "body", json!("")),
            ("body=\"5\"", "body", json!("5")),
        ] {
            assert_eq!(parse(pair), Ok((key.to_owned(), value)), "{pair}");
        }
        assert!(parse("latency").is_err() && parse("=5").is_err());
    }

    #[test]
    fn clients_are_a_list() {
        let both = json!(["10.0.0.0/8", "::1"]);
        assert_eq!(parse_when("clients=10.0.0.0/8, ::1").unwrap().1, both);
        assert_eq!(parse_when("clients=[\"10.0.0.0/8\",\"::1\"]").unwrap().1, both);
        assert_eq!(parse_when("first=2").unwrap().1, json!(2));
    }
}
