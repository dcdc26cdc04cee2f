//! The commands below `sabot toxic`: one file each, one line in the list.

mod add;
mod remove;
mod update;

use clap::{Args, Subcommand};

use super::{Run, block_on};
use crate::context::Context;

/// Add, update or remove a toxic
#[derive(Args)]
#[command(visible_alias = "t", subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Toxic {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Add(add::Add),
    Update(update::Update),
    Remove(remove::Remove),
}

impl Run for Toxic {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        match self.verb {
            Verb::Add(verb) => verb.run(cx),
            Verb::Update(verb) => verb.run(cx),
            Verb::Remove(verb) => verb.run(cx),
        }
    }
}

/// What `-a` and `--when` take.
const VALUES_HELP: &str = "\
Attributes (-a) are key=value: a number in the attribute's own unit (latency=50), a quantity that \
names its unit (latency=250us, rate=8Mbit/s), true or false, text as it is (set.x-version=1.10), or JSON. \
`sabot kinds KIND` shows those of a kind.

A dot leads into an object: match.path=/charge, match.headers.x-user=7. The name of a header or a parameter may have \
dots itself (match.query.a.b=1); elsewhere, and where it ends in .exact, .prefix, .glob or .regex, put it in double \
quotes ('match.query.\"a.prefix\"=1') or give the object as JSON ('match.query={\"a.prefix\":\"1\"}').

Conditions (--when) are key=value too, and all that are given must hold:
  start_after=5s       acts only after this long
  duration=10s         acts for this long, then never again
  period=1s duty=0.2   on for 20 % of every second
  first=10, every=3    only the first 10 connections, only every third
  after_bytes=64KiB    only after that many bytes passed
  clients=10.0.0.0/8   only connections from there (commas between several)
  expires_after=30s    the server removes the toxic by itself";
