//! What people and machines read of a run. Everything is made of [`Record`]s and of nothing else.
//!
//! - [`html`]: one self-contained page, with `plot`'s pictures;
//! - [`markdown`] for pull requests, [`junit`] for CI, [`terminal`] for whoever waited for the run;
//! - [`compare`]: two runs beside each other; [`side_by_side`] is its short form;
//! - [`regressions`]: runs against committed results.
//!
//! `text` turns numbers into words, the same in all of them. Not here: where records are kept
//! (`history`), and any judgement: a report repeats the record's.

mod compare;
mod html;
mod junit;
mod markdown;
mod plot;
mod regress;
#[cfg(test)]
pub(crate) mod sample;
mod terminal;
mod text;

pub use compare::{Comparison, Measure, ObjectivePair, Pair, Side, compare, side_by_side};
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use regress::{Change, Committed, CommittedError, CommittedResult, Outcome, regressions};
pub use terminal::terminal;

use crate::judge::Verdict;
use crate::record::Record;

/// Why a report could not be written: a fault of ours, not of the record.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the report: {0}")]
pub struct ReportError(String);

/// Why a run is not as its experiment expects; none if it is.
#[must_use]
pub fn unexpected(record: &Record) -> Option<String> {
    let expected = record.expect.unwrap_or(Verdict::Held).name();
    let told = || format!("{}: {}, expected {expected}", title(record), record.judgement.verdict.name());
    (!record.as_expected()).then(told)
}

/// The experiment's title, with its variant.
#[must_use]
pub fn title(record: &Record) -> String {
    match &record.variant {
        Some(variant) => format!("{} ({variant})", record.title),
        None => record.title.clone(),
    }
}
