//! What is kept of the runs: the history, and the files that were asked for.

use std::path::PathBuf;

use clap::Args;
use sabot_runner::history::History;
use sabot_runner::record::Record;
use sabot_runner::report;

use super::NOTHING_RUN;
use crate::context::Context;
use crate::failure::Failure;
use crate::runs;
use crate::state_dir::StateDir;

/// Where it goes.
#[derive(Args)]
pub(super) struct Outputs {
    /// Write a report of each run as HTML into this directory, and its record as JSON
    #[arg(long, value_name = "DIR")]
    pub(super) reports: Option<PathBuf>,
    /// Write the runs as Markdown for a pull request; `-` is stdout
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
    /// Write the runs as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    #[command(flatten)]
    state: StateDir,
}

impl Outputs {
    /// The history, which every run is kept in.
    pub(super) fn history(&self) -> anyhow::Result<History> {
        self.state.history()
    }

    /// Refuses what cannot be written to, before anything is run.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let refused = |error: Failure| error.with_code(NOTHING_RUN);
        if let Some(directory) = &self.reports {
            let told = |error: std::io::Error| {
                let message = format!("failed to make {}: {error}", directory.display());
                Failure::new(message, "name another by --reports")
            };
            std::fs::create_dir_all(directory).map_err(told).map_err(refused)?;
            runs::check_writable(&directory.join("report.html")).map_err(refused)?;
        }
        for file in self.markdown.iter().chain(&self.junit) {
            runs::check_writable(file).map_err(refused)?;
        }
        Ok(())
    }

    /// Remembers a run as soon as it has ended: the next may take long, or fail. All is tried, the first
    /// error told.
    pub(super) fn keep(&self, cx: &Context, history: &mut History, record: &Record) -> anyhow::Result<()> {
        let remembered = history.append(record).map_err(anyhow::Error::from);
        let Some(directory) = &self.reports else { return remembered };
        let json = || -> anyhow::Result<()> {
            let json = serde_json::to_string_pretty(record)? + "\n";
            runs::write("the record", &directory.join(format!("{}.json", record.id)), &json, &cx.output)
        };
        let html = || -> anyhow::Result<()> {
            let html = directory.join(format!("{}.html", record.id));
            runs::write("the report", &html, &report::html(record)?, &cx.output)
        };
        let (json, html) = (json(), html());
        remembered.and(json).and(html)
    }

    /// What is written of all runs together, with why each fails the build, if it does. All is tried, the
    /// first error told.
    pub(super) fn write(
        &self,
        cx: &Context,
        records: &[Record],
        failures: &[Option<String>],
    ) -> anyhow::Result<()> {
        let markdown = |path: &PathBuf| {
            let page =
                |(record, failure): (&Record, &Option<String>)| report::markdown(record, failure.as_deref());
            let pages: Vec<String> = records.iter().zip(failures).map(page).collect();
            runs::write("the report", path, &pages.join("\n"), &cx.output)
        };
        let junit = |path: &PathBuf| -> anyhow::Result<()> {
            runs::write("JUnit XML", path, &report::junit(records, failures)?, &cx.output)
        };
        let markdown = self.markdown.as_ref().map_or(Ok(()), markdown);
        let junit = self.junit.as_ref().map_or(Ok(()), junit);
        let json = if cx.output.is_json() { cx.output.answer(&records, |_| Ok(())) } else { Ok(()) };
        markdown.and(junit).and(json)
    }
}
