//! The report as one HTML file: no script, no font, nothing from elsewhere.
//!
//! - `page` is what the template shows, `tables` and `charts` are large parts of it;
//! - `number` is a number that says where in the record it stands;
//! - `blast` lays the blast radius out as endpoints by tenants;
//! - the templates are `templates/report.html`, `templates/base.html` and `templates/style.css`.
//!
//! askama escapes every text that it sets in; only the pictures are set in as they are.

mod blast;
mod charts;
mod number;
mod page;
mod tables;

use askama::Template as _;

pub(super) use page::icon;

use super::ReportError;
use crate::record::Record;

/// The report of a run as one HTML file, to be looked at, sent and printed.
///
/// # Errors
/// It could not be put together, which no record should be able to cause.
pub fn html(record: &Record) -> Result<String, ReportError> {
    page::Page::of(record).render().map_err(|error| ReportError(error.to_string()))
}

#[cfg(test)]
mod tests;
