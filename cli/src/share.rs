//! Shares in options: a number from 0 to 1, or percent.

/// What lies beyond 0 and 1 is for those to refuse who know what it is a share of.
pub(crate) fn parse(text: &str) -> Result<f64, String> {
    let number = |text: &str| {
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| "expected a share, such as 0.05 or 5%".to_owned())
    };
    match text.trim().strip_suffix('%') {
        Some(percent) => Ok(number(percent)? / 100.0),
        None => number(text),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn percent_is_a_share() {
        assert_eq!(parse("20%"), Ok(0.2));
        assert_eq!(parse("0.5 %"), Ok(0.005));
        assert_eq!(parse(".3"), Ok(0.3));
        for wrong in ["", "%", "half", "1/2", "NaN", "inf%"] {
            assert_eq!(parse(wrong), Err("expected a share, such as 0.05 or 5%".to_owned()), "{wrong}");
        }
    }
}
