use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory};

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
            let page = rendered(&clap_mangen::Man::new(Cli::command()))?;
            return Ok(io::Write::write_all(&mut io::stdout(), page.as_bytes())?);
        };
        // Without a verb it is the server, and says so by the name `sabot`; its page is its own.
        let cli = Cli::command().mut_subcommand("serve", |serve| serve.display_name("sabot-serve"));
        let mut cli = cli.disable_help_subcommand(true);
        cli.build();
        let shown = directory.display().to_string();
        std::fs::create_dir_all(&directory)
            .and_then(|()| write(&cli, &directory))
            .with_context(|| format!("failed to write manual pages to {shown}"))?;
        cx.output.answer(&serde_json::json!({"directory": shown}), |out| {
            writeln!(out, "manual pages are in {shown}")
        })
    }
}

/// The page of a command, and those of the commands below it.
fn write(command: &Command, directory: &Path) -> io::Result<()> {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        write(inner, directory)?;
    }
    let man = clap_mangen::Man::new(command.clone());
    std::fs::write(directory.join(man.get_filename()), rendered(&man)?)
}

fn rendered(man: &clap_mangen::Man) -> io::Result<String> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    Ok(with_blocks(&String::from_utf8_lossy(&page)))
}

/// What is indented is aligned, or an example: its lines are not to be filled.
fn with_blocks(page: &str) -> String {
    let (mut text, mut inside) = (String::new(), false);
    for line in page.lines() {
        let indented = line.starts_with("  ");
        if indented != inside {
            text.push_str(if indented { ".nf\n" } else { ".fi\n" });
            inside = indented;
        }
        text.push_str(line);
        text.push('\n');
    }
    if inside {
        text.push_str(".fi\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_indented_is_not_filled() {
        assert_eq!(with_blocks("a\n  b\n  c\nd\n  e\n"), "a\n.nf\n  b\n  c\n.fi\nd\n.nf\n  e\n.fi\n");
        let mut cli = Cli::command();
        cli.build();
        let token = cli.find_subcommand("token").unwrap().clone();
        let page = rendered(&clap_mangen::Man::new(token)).unwrap();
        let block = page.split(".nf\n").nth(1).and_then(|rest| rest.split(".fi\n").next()).unwrap();
        assert_eq!(block.lines().count(), 4, "{page}");
        assert!(block.lines().all(|line| line.starts_with("  ")), "{page}");
    }
}
