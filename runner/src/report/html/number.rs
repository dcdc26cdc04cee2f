//! A number as the page shows it.

use super::super::text;
use crate::record::PhasePart;

/// A number in words, with the place in the record where it stands as a JSON pointer: people read the
/// one, programs and tests the other.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) text: String,
    pub(super) value: String,
    pub(super) at: String,
}

impl Number {
    pub(super) fn new(text: String, value: f64, at: impl Into<String>) -> Self {
        Self { text, value: value.to_string(), at: at.into() }
    }
}

/// The error rate of the part that stands at `at` of the record.
pub(super) fn error_rate(at: usize, part: &PhasePart) -> Option<Number> {
    Some(Number::new(text::share(part.error_rate), part.error_rate, format!("/parts/{at}/error_rate")))
}
