use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Run;
use crate::context::{Cli, Context};

/// Print a completion script for a shell
#[derive(Args)]
#[command(after_help = "For bash: sabot completions bash > /etc/bash_completion.d/sabot")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Run for Completions {
    fn run(self, _: &Context) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "sabot", &mut script);
        Ok(std::io::Write::write_all(&mut std::io::stdout(), &script)?)
    }
}
