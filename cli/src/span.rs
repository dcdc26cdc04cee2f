//! Spans of time in options; they name their unit, because a bare number would
//! be read as seconds by some and as milliseconds by others.

use std::time::Duration;

use sabot_toxics::units::Millis;

pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time with its unit, such as 500ms, 10s, 2m".to_owned();
    if text.trim() != "0" && !text.ends_with(|c: char| c.is_alphabetic()) {
        return Err(expected());
    }
    serde_json::from_value::<Millis>(text.into()).map(Millis::get).map_err(|_| expected())
}

/// As [`parse`]; no time at all is refused.
pub(crate) fn positive(text: &str) -> Result<Duration, String> {
    parse(text).and_then(|span| match span {
        Duration::ZERO => Err("must be longer than 0".to_owned()),
        span => Ok(span),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse, positive};

    #[test]
    fn a_unit_is_needed() {
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
        assert!(positive("0ms").is_err() && positive("1ms").is_ok());
        assert!(parse("5").is_err() && parse("-5s").is_err() && parse("").is_err() && parse("soon").is_err());
    }
}
