use std::path::PathBuf;

use clap::Args;
use sabot_runner::record::Record;
use sabot_runner::report;

use super::Run;
use crate::context::Context;
use crate::failure::Failure;
use crate::runs;
use crate::state_dir::StateDir;

/// Show what a run came to, or write it as HTML, Markdown or JUnit XML
#[derive(Args)]
#[command(after_help = "\
RUN is an id of `sabot history`, letters that only one id begins with, `last`, or a file that `--output json` wrote.

  sabot report last --html report.html
  sabot report 20261121-0915 --markdown - | gh pr comment --body-file -
  sabot report last -o json > run.json")]
pub(crate) struct Report {
    /// The run; with --junit alone there may be several
    #[arg(value_name = "RUN", default_value = "last")]
    runs: Vec<String>,
    /// Write it as one self-contained HTML file; `-` is stdout, here and below
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write it as Markdown, short, for a pull request
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write it as JUnit XML, which fails where the verdict is not the expected one
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    state: StateDir,
}

impl Run for Report {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let records: Vec<Record> =
            self.runs.iter().map(|name| runs::find(name, &self.state)).collect::<anyhow::Result<_>>()?;
        let written = self.html.is_some() || self.markdown.is_some() || self.junit.is_some();
        let several = self.html.is_some() || self.markdown.is_some() || !written;
        let [record] = records.as_slice() else {
            if several {
                let help = "name one run; `sabot compare A B` shows two, and --junit alone takes any number";
                return Err(Failure::new(format!("{} runs are named", records.len()), help).into());
            }
            return self.write_junit(&records, cx);
        };
        if let Some(path) = &self.html {
            runs::write("the report", path, &report::html(record)?, &cx.output)?;
        }
        if let Some(path) = &self.markdown {
            runs::write("the report", path, &report::markdown(record, None), &cx.output)?;
        }
        self.write_junit(&records, cx)?;
        if written && !cx.output.is_json() {
            return Ok(());
        }
        cx.output.answer(record, |out| {
            write!(out, "{}", report::terminal(record, cx.output.width(), cx.output.has_colours()))
        })
    }
}

impl Report {
    fn write_junit(&self, records: &[Record], cx: &Context) -> anyhow::Result<()> {
        match &self.junit {
            Some(path) => runs::write(
                "JUnit XML",
                path,
                &report::junit(records, &records.iter().map(report::unexpected).collect::<Vec<_>>())?,
                &cx.output,
            ),
            None => Ok(()),
        }
    }
}
