//! Arbitrary `match` expressions, and arbitrary heads for them: reading one never
//! panics, what can be read says the same when it is written and read again, and no
//! head is too odd to be looked at.

use sabot_toxics::http::Match;
use sabot_toxics::{Direction, ToxicSpec, kind};
use serde_json::{Map, Value};

use crate::head;

/// One input: JSON up to the first zero byte, then a head.
pub fn run(data: &[u8]) {
    let (json, rest) = head::split(data);
    let Ok(value) = serde_json::from_slice::<Value>(json) else { return };
    let kind = kind("http_abort").expect("a kind that is there");
    let attributes = Map::from_iter([("match".to_owned(), value.clone())]);
    let spec = ToxicSpec::new(kind, Direction::Downstream, &attributes);
    let read = serde_json::from_value::<Match>(value);
    let matcher = match (spec, read) {
        (Ok(spec), Ok(matcher)) => {
            let again = ToxicSpec::new(kind, Direction::Downstream, &spec.attributes);
            assert_eq!(again.map(|it| it.attributes).ok().as_ref(), Some(&spec.attributes));
            matcher
        }
        (Err(error), _) => {
            assert!(!error.to_string().is_empty(), "an error without a word");
            return;
        }
        (Ok(_), Err(error)) => panic!("a toxic takes what cannot be read: {error}"),
    };
    let written = serde_json::to_value(&matcher).expect("what was read can be written");
    let again: Match = serde_json::from_value(written.clone()).expect("what was written can be read");
    assert_eq!(again, matcher, "{written}");
    let Some((parts, status)) = head::read(rest) else { return };
    assert_eq!(matcher.request(&parts), again.request(&parts));
    assert!(matcher.needs_answer() || matcher.answer(status), "all answers are meant unless some are named");
    if let Some(sticky) = &matcher.sticky {
        assert!(!matcher.request(&parts) || sticky.value(&parts).is_some(), "sticky to nothing");
    }
}
