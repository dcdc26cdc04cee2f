//! `sabot`, the one binary: the server and the commands that talk to it.
//!
//! | module | what is in it |
//! |---|---|
//! | `commands` | one file per command, one list |
//! | `argv` | what Toxiproxy's programs accept, put into our own words |
//! | `config` | config files in three formats, with places |
//! | `serve` | what the server needs around the controller and the API |
//! | `output`, `table`, `fold` | what people and programs get to read |
//! | `runs`, `state_dir` | runs as commands name them, and where they are kept |
//! | `subject`, `values` | what `baseline` and `ramp` measure; what fills in a file's `${NAME}` |
//! | `injection` | injections as options give them, and in words |
//! | `pairs`, `shape`, `span`, `share` | what options take: attributes, times, shares |
//! | `lines`, `interrupt` | what long commands say meanwhile, and how they are ended |
//! | `failure` | errors that say what to do next |
//! | `reference` | the pages that are generated from all this (tests only) |

mod argv;
mod ca_dir;
mod catalog;
mod commands;
mod config;
mod context;
mod failure;
mod fold;
mod injection;
mod interrupt;
mod lines;
mod output;
mod pairs;
#[cfg(test)]
mod reference;
mod runs;
mod serve;
mod shape;
mod share;
mod span;
mod state_dir;
mod subject;
mod table;
mod values;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use context::Cli;

fn main() -> ExitCode {
    let args = argv::translate(std::env::args_os(), &Cli::command());
    let parsed = Cli::command()
        .try_get_matches_from(args)
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    match parsed {
        Ok(cli) => cli.run(),
        Err(error) => {
            // Nothing is left to do should the terminal be gone.
            let _ = error.print();
            // As toxiproxy-cli: 1 for every error, that of usage too.
            ExitCode::from(u8::from(error.use_stderr()))
        }
    }
}
