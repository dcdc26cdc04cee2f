//! What is kept of the runs: the history, and the files that were asked for.

use std::path::PathBuf;

use clap::Args;
use sabot_runner::history::History;
use sabot_runner::record::Record;
use sabot_runner::report;

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

    /// Remembers a run as soon as it has ended: the next may take long, or fail.
    pub(super) fn keep(&self, cx: &Context, history: &mut History, record: &Record) -> anyhow::Result<()> {
        if let Some(directory) = &self.reports {
            let json = serde_json::to_string_pretty(record)? + "\n";
            let told = |error: std::io::Error| {
                Failure::new(
                    format!("failed to make {}: {error}", directory.display()),
                    "name another by --reports",
                )
            };
            std::fs::create_dir_all(directory).map_err(told)?;
            runs::write("the record", &directory.join(format!("{}.json", record.id)), &json, &cx.output)?;
            let html = directory.join(format!("{}.html", record.id));
            runs::write("the report", &html, &report::html(record)?, &cx.output)?;
        }
        Ok(history.append(record)?)
    }

    /// What is written of all runs together.
    pub(super) fn write(&self, cx: &Context, records: &[Record]) -> anyhow::Result<()> {
        if let Some(path) = &self.markdown {
            let pages: Vec<String> = records.iter().map(report::markdown).collect();
            runs::write("the report", path, &pages.join("\n"), &cx.output)?;
        }
        if let Some(path) = &self.junit {
            runs::write("JUnit XML", path, &report::junit(records)?, &cx.output)?;
        }
        if cx.output.is_json() {
            cx.output.answer(&records, |_| Ok(()))?;
        }
        Ok(())
    }
}
