//! The reason phrases of answers over HTTP/1.1: the upstream's own as long as its status
//! stays, and something to read where nobody has one.

use http::{Response, StatusCode};
use hyper::ext::ReasonPhrase;

/// What hyper writes is `<none>`, which looks like an error of the proxy.
const UNASSIGNED: ReasonPhrase = ReasonPhrase::from_static(b"Unassigned");

/// The phrase that the upstream gave its status.
#[derive(Clone)]
struct Said(StatusCode, ReasonPhrase);

/// Notes what an upstream has said, before a fault may change the status.
pub(super) fn note<B>(answer: &mut Response<B>) {
    if let Some(phrase) = answer.extensions_mut().remove::<ReasonPhrase>() {
        let said = Said(answer.status(), phrase);
        answer.extensions_mut().insert(said);
    }
}

/// Gives an answer the phrase that fits the status it has now.
pub(super) fn fit<B>(answer: &mut Response<B>) {
    let status = answer.status();
    let phrase = match answer.extensions_mut().remove::<Said>() {
        Some(Said(of, phrase)) if of == status => phrase,
        _ if status.canonical_reason().is_none() => UNASSIGNED,
        _ => return,
    };
    answer.extensions_mut().insert(phrase);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_goes_with_its_status() {
        for (came, said, goes, expected) in [
            (200, Some("Fine"), 200, Some("Fine")),
            (200, Some("Fine"), 503, None),
            (200, Some("Fine"), 599, Some("Unassigned")),
            (200, None, 200, None),
            (599, Some("Odd"), 599, Some("Odd")),
            (599, Some(""), 599, Some("")),
            (599, None, 599, Some("Unassigned")),
        ] {
            let mut answer = Response::new(());
            *answer.status_mut() = StatusCode::from_u16(came).unwrap();
            if let Some(said) = said {
                answer.extensions_mut().insert(ReasonPhrase::try_from(said.as_bytes()).unwrap());
            }
            note(&mut answer);
            *answer.status_mut() = StatusCode::from_u16(goes).unwrap();
            fit(&mut answer);
            let phrase = answer.extensions().get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
            assert_eq!(phrase, expected.map(str::as_bytes), "{came} {said:?} {goes}");
        }
    }
}
