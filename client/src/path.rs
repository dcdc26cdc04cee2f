//! Paths of the API from names that may hold anything.

use std::fmt::Write as _;

/// Joins segments below `/v1`, each percent-encoded, so that a name with `/`,
/// `@`, spaces or unicode stays one segment.
pub(crate) fn v1(segments: &[&str]) -> String {
    format!("/v1{}", root(segments))
}

/// The same from the root.
pub(crate) fn root(segments: &[&str]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        encode(segment, &mut path);
    }
    path
}

/// What stands behind `?`, of what is given; nothing if nothing is.
pub(crate) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        let Some(value) = value else { continue };
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        encode(value, &mut query);
    }
    query
}

/// RFC 3986: everything but the unreserved characters.
fn encode(segment: &str, into: &mut String) {
    // `.` and `..` alone are steps in a path; their dots have to be hidden.
    let dots = matches!(segment, "." | "..");
    for byte in segment.bytes() {
        match byte {
            b'.' if dots => into.push_str("%2E"),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                into.push(char::from(byte));
            }
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{query, root, v1};

    #[test]
    fn questions_hold_what_is_given() {
        let pairs = [("since", Some("02:47".to_owned())), ("who", None), ("action", Some("a&b".to_owned()))];
        assert_eq!(query(&pairs), "?since=02%3A47&action=a%26b");
        assert_eq!(query(&[("who", None)]), "");
        assert_eq!(root(&["injections", "a/b"]), "/injections/a%2Fb");
    }

    #[test]
    fn names_stay_one_segment() {
        for (name, path) in [
            ("redis", "/v1/proxies/redis"),
            ("a/b", "/v1/proxies/a%2Fb"),
            ("user@host:1", "/v1/proxies/user%40host%3A1"),
            ("two words", "/v1/proxies/two%20words"),
            ("naïve", "/v1/proxies/na%C3%AFve"),
            ("100%", "/v1/proxies/100%25"),
            ("..", "/v1/proxies/%2E%2E"),
            ("a?b#c", "/v1/proxies/a%3Fb%23c"),
        ] {
            assert_eq!(v1(&["proxies", name]), path);
        }
    }
}
