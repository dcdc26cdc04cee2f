//! The options that stand before a command, and what every command gets.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser};
use sabot_client::{Client, Trust};

use crate::ca_dir;
use crate::commands::Command;
use crate::failure::{self, Failure};
use crate::output::{Format, Output};

const DEFAULT_URL: &str = "http://localhost:8474";

/// A programmable fault-injecting proxy: break the links between services on
/// purpose, exactly as asked, and repeatably.
#[derive(Parser)]
#[command(
    name = "sabot",
    version,
    disable_help_flag = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Start with `sabot serve`, then `sabot create -l localhost:16379 -u localhost:6379 redis` \
                  and `sabot toxic add -t latency -a latency=100ms redis`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    api: Api,
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Which server a command talks to.
#[derive(Args, Clone, Default)]
pub(crate) struct Api {
    /// The server's API [env: SABOT_URL, TOXIPROXY_URL] [default: http://localhost:8474]
    #[arg(short = 'h', long = "host", value_name = "URL", display_order = 900)]
    url: Option<String>,
    /// Believe an https:// API whose certificate a CA of this PEM file signed [env: SABOT_CA]
    #[arg(long, value_name = "FILE", display_order = 901)]
    ca: Option<PathBuf>,
    /// Believe any https:// API: who is between can read and change everything
    #[arg(long, display_order = 902, conflicts_with = "ca")]
    insecure: bool,
}

#[derive(Args)]
struct Common {
    /// Print tables for people or JSON for programs
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        display_order = 910
    )]
    output: Format,
    /// Print help (`-h` is --host, of commands that ask a server)
    #[arg(long, global = true, action = ArgAction::HelpShort, display_order = 920)]
    help: Option<bool>,
}

impl Cli {
    pub(crate) fn run(self) -> ExitCode {
        let cx = Context { api: self.api, output: Output::new(self.common.output) };
        match self.command.run(&cx) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failure::report(&error, cx.output.is_json()),
        }
    }
}

/// What every command gets.
pub(crate) struct Context {
    api: Api,
    pub output: Output,
}

impl Context {
    /// A client of the server that was named: after the command, before it, in
    /// the environment, or the usual one.
    pub(crate) fn client(&self, api: &Api) -> anyhow::Result<Client> {
        self.client_or(api, None)
    }

    /// The same; where no server was named with the command, the one at `url`.
    pub(crate) fn client_or(&self, api: &Api, url: Option<String>) -> anyhow::Result<Client> {
        let url = self
            .before(api)
            .or(url)
            .or_else(|| env("SABOT_URL"))
            .or_else(|| env("TOXIPROXY_URL"))
            .unwrap_or_else(|| DEFAULT_URL.to_owned());
        Ok(Client::with_trust(&url, &self.trust(api)).map_err(Failure::from)?)
    }

    /// Which server was named on the command line, and how to believe it: options and their values.
    pub(crate) fn told(&self, api: &Api) -> Vec<(&'static str, Option<String>)> {
        let ca = api.ca.as_ref().or(self.api.ca.as_ref()).map(|ca| ca.display().to_string());
        let mut told = Vec::new();
        told.extend(self.before(api).map(|url| ("--host", Some(url))));
        told.extend(ca.map(|ca| ("--ca", Some(ca))));
        told.extend((api.insecure || self.api.insecure).then_some(("--insecure", None)));
        told
    }

    /// Whom to believe over https: the system's roots and Sabot's own CA unless told.
    fn trust(&self, api: &Api) -> Trust {
        let ca =
            api.ca.clone().or_else(|| self.api.ca.clone()).or_else(|| env("SABOT_CA").map(PathBuf::from));
        let directories = [
            env("SABOT_CA_DIR").map(PathBuf::from),
            env("SABOT_STATE_DIR").map(|state| PathBuf::from(state).join("ca")),
            ca_dir::of_user(),
        ];
        let also = directories.into_iter().flatten();
        let also = also.map(|directory| sabot_proxy::Authority::certificate_file(&directory)).collect();
        Trust { ca, also, insecure: api.insecure || self.api.insecure }
    }

    fn before(&self, api: &Api) -> Option<String> {
        api.url.clone().or_else(|| self.api.url.clone())
    }

    /// `--host` when it stood before the command.
    pub(crate) fn leading_host(&self) -> Option<String> {
        self.api.url.clone()
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
