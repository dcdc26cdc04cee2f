use std::path::PathBuf;

use clap::Args;
use sabot_runner::report;

use super::Run;
use crate::context::Context;
use crate::runs;
use crate::state_dir::StateDir;

/// Put two runs side by side: before and after
#[derive(Args)]
#[command(after_help = "\
A and B are ids of `sabot history`, letters that only one id begins with, `last`, or files that `sabot report -o json` \
wrote. The difference is that of B, as a share of A.

  sabot compare 20261121-0915 last --html compare.html")]
pub(crate) struct Compare {
    /// The run to compare with
    #[arg(value_name = "A")]
    a: String,
    /// The run that is compared
    #[arg(value_name = "B")]
    b: String,
    /// Show the verdicts and what all requests met, not each endpoint
    #[arg(long)]
    short: bool,
    /// Write it as one self-contained HTML file; `-` is stdout, here and below
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write it as Markdown, for a pull request
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    #[command(flatten)]
    state: StateDir,
}

impl Run for Compare {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let (a, b) = (runs::find(&self.a, &self.state)?, runs::find(&self.b, &self.state)?);
        let comparison = report::compare(&a, &b);
        if let Some(path) = &self.html {
            runs::write("the comparison", path, &comparison.html(&a, &b)?, &cx.output)?;
        }
        if let Some(path) = &self.markdown {
            runs::write("the comparison", path, &comparison.markdown(), &cx.output)?;
        }
        if (self.html.is_some() || self.markdown.is_some()) && !cx.output.is_json() {
            return Ok(());
        }
        let (width, colours) = (cx.output.width(), cx.output.has_colours());
        cx.output.answer(&comparison, |out| match self.short {
            true => write!(out, "{}", report::side_by_side(&a, &b, width, colours)),
            false => write!(out, "{}", comparison.terminal(width, colours)),
        })
    }
}
