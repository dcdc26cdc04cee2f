//! The commands below `sabot ca`: one file each, one line in the list.

mod export;
mod init;
mod trust_help;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Run, block_on};
use crate::ca_dir;
use crate::context::Context;
use crate::failure::Failure;

/// Make Sabot's own CA, show its certificate, or say how to trust it
#[derive(Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Ca {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Init(init::Init),
    Export(export::Export),
    TrustHelp(trust_help::TrustHelp),
}

impl Run for Ca {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        match self.verb {
            Verb::Init(verb) => verb.run(cx),
            Verb::Export(verb) => verb.run(cx),
            Verb::TrustHelp(verb) => verb.run(cx),
        }
    }
}

/// Where the CA is.
#[derive(Args)]
struct Place {
    /// The CA's directory [default: ~/.local/share/sabot/ca]
    #[arg(long, value_name = "DIR", env = "SABOT_CA_DIR")]
    ca_dir: Option<PathBuf>,
}

impl Place {
    fn directory(&self) -> Result<PathBuf, Failure> {
        self.ca_dir.clone().or_else(ca_dir::of_user).ok_or_else(|| {
            Failure::new("there is no home directory to keep a CA in", "name one with --ca-dir")
        })
    }
}
