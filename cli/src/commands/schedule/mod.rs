//! The commands below `sabot schedule`: one file each, one line in the list.

mod add;
mod list;
mod remove;

use clap::{Args, Subcommand};

use super::{Run, block_on};
use crate::context::Context;

/// Have injections come again: add, list or remove a schedule
#[derive(Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Schedule {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Add(Box<add::Add>),
    List(list::List),
    Remove(remove::Remove),
}

impl Run for Schedule {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        match self.verb {
            Verb::Add(verb) => verb.run(cx),
            Verb::List(verb) => verb.run(cx),
            Verb::Remove(verb) => verb.run(cx),
        }
    }
}
