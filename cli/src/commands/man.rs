use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory};

use super::Run;
use crate::context::{Cli, Context};

/// Print the manual page, or write those of all commands to a directory
#[derive(Args)]
#[command(after_help = "To read it at once: sabot man | man -l -")]
pub(crate) struct Man {
    /// Write sabot.1, sabot-serve.1 and so on there
    directory: Option<PathBuf>,
}

impl Run for Man {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let Some(directory) = self.directory else {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            return Ok(std::io::Write::write_all(&mut std::io::stdout(), &page)?);
        };
        // Without a verb it is the server, and says so by the name `sabot`; its page is its own.
        let cli = Cli::command().mut_subcommand("serve", |serve| serve.display_name("sabot-serve"));
        let shown = directory.display().to_string();
        std::fs::create_dir_all(&directory)
            .and_then(|()| clap_mangen::generate_to(cli, &directory))
            .with_context(|| format!("failed to write manual pages to {shown}"))?;
        cx.output.answer(&serde_json::json!({"directory": shown}), |out| {
            writeln!(out, "manual pages are in {shown}")
        })
    }
}
