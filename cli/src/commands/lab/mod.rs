//! The commands below `sabot lab`: one file each, one line in the list.

mod down;
mod env;
mod mitigations;
mod service;
mod status;
mod up;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sabot_lab::{LabError, up as lab};
use serde_json::Value;

use super::{Run, block_on};
use crate::context::Context;
use crate::failure::Failure;

/// Bring up a small shop to break: api, orders, payments, every link through Sabot
#[derive(Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
`sabot lab service` runs one service of it alone; `lab up` starts them by it."
)]
pub(crate) struct Lab {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Up(up::Up),
    Status(status::Status),
    Down(down::Down),
    Mitigations(mitigations::Mitigations),
    Env(env::Env),
    #[command(hide = true)]
    Service(service::Service),
}

impl Run for Lab {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        match self.verb {
            Verb::Up(verb) => verb.run(cx),
            Verb::Status(verb) => verb.run(cx),
            Verb::Down(verb) => verb.run(cx),
            Verb::Mitigations(verb) => verb.run(cx),
            Verb::Env(verb) => verb.run(cx),
            Verb::Service(verb) => verb.run(cx),
        }
    }
}

/// Which lab.
#[derive(Args)]
struct Place {
    /// The lab's directory, one lab in each [default: sabot-lab in $XDG_RUNTIME_DIR, or sabot-lab-UID in /tmp]
    #[arg(long, value_name = "DIR", env = "SABOT_LAB_DIR")]
    state_dir: Option<PathBuf>,
}

impl Place {
    fn directory(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(lab::default_directory)
    }
}

/// The addresses of the lab that runs in the usual place, or where SABOT_LAB_DIR says, by name.
pub(crate) async fn addresses() -> anyhow::Result<Vec<(String, String)>> {
    let directory =
        std::env::var_os("SABOT_LAB_DIR").map(PathBuf::from).unwrap_or_else(lab::default_directory);
    let status = lab::status(&directory).await.map_err(Failure::from)?;
    let text = |(name, value): (String, Value)| (name, value.as_str().unwrap_or_default().to_owned());
    Ok(env::variables(&status.lab).into_iter().map(text).collect())
}

impl From<LabError> for Failure {
    fn from(error: LabError) -> Self {
        let help = match &error {
            LabError::Up { .. } => "`sabot lab down` ends it; another can be in another --state-dir",
            LabError::Down { .. } => "`sabot lab up` brings one up; --state-dir names its directory",
            LabError::Listen { .. } => "choose another address, or port 0 for a free one",
            LabError::Address { .. } => "write it as http://HOST:PORT",
            LabError::Setting { .. } => "`--help` shows what it takes",
            LabError::File { .. } => "name another directory with --state-dir",
            LabError::Ask { .. } => "`sabot lab status` shows what runs",
            _ => "the logs are in the lab's directory while it is up; `sabot lab status` names it",
        };
        Self::new(error.to_string(), help)
    }
}
