//! The token in a request: `Authorization: Bearer TOKEN` (RFC 6750), or the password of Basic (RFC 7617),
//! which is what clients make of `http://sabot:TOKEN@host:8474`.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request shows of itself. It has no `Debug`, so that no token gets into a log.
pub(super) enum Shown {
    Nothing,
    Token(String),
    /// What is wrong with the header; says nothing of what it holds.
    Unreadable(&'static str),
}

pub(super) fn shown(headers: &HeaderMap) -> Shown {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let Some(header) = given.next() else { return Shown::Nothing };
    if given.next().is_some() {
        // What is between client and server might have looked at the other one.
        return Shown::Unreadable("was sent more than once");
    }
    let Ok(header) = header.to_str() else { return Shown::Unreadable("holds what no header may") };
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Shown::Token(rest.to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = BASE64.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        // The user's name may be anything: the token says who it is.
        let password = decoded.as_deref().and_then(|pair| pair.split_once(':')).map(|(_, password)| password);
        return password
            .map_or(Shown::Unreadable("is no Basic as it has to be"), |it| Shown::Token(it.to_owned()));
    }
    Shown::Unreadable("is neither Bearer nor Basic")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        match shown(&headers) {
            Shown::Nothing => "nothing".to_owned(),
            Shown::Token(token) => format!("token {token}"),
            Shown::Unreadable(reason) => reason.to_owned(),
        }
    }

    #[test]
    fn a_token_is_found_in_either_form() {
        for (values, expected) in [
            (&[][..], "nothing"),
            (&["Bearer sabot_x"], "token sabot_x"),
            (&["bearer  sabot_x "], "token sabot_x"),
            (&["Bearer"], "token "),
            // `printf 'sabot:sabot_x' | base64`
            (&["Basic c2Fib3Q6c2Fib3RfeA=="], "token sabot_x"),
            (&["BASIC c2Fib3Q6c2Fib3RfeA"], "token sabot_x"),
            // `printf ':sabot_x:y' | base64`
            (&["Basic OnNhYm90X3g6eQ=="], "token sabot_x:y"),
            (&["Basic c2Fib3Q="], "is no Basic as it has to be"),
            (&["Basic %%%"], "is no Basic as it has to be"),
            (&["Basic /////w=="], "is no Basic as it has to be"),
            (&["Digest x"], "is neither Bearer nor Basic"),
            (&["sabot_x"], "is neither Bearer nor Basic"),
            (&["Bearer a", "Bearer b"], "was sent more than once"),
            (&["Bearer \u{e9}"], "holds what no header may"),
        ] {
            assert_eq!(of(values), expected, "{values:?}");
        }
    }
}
