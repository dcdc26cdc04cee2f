//! The options that stand before a command, and what every command gets.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
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
    /// The file with the token to show to the API, on its first line [env: SABOT_TOKEN, the token itself]
    #[arg(long, value_name = "FILE", display_order = 900)]
    token_file: Option<PathBuf>,
    /// Who you are, for the audit and for approvals; where the server asks for tokens they say it [env: SABOT_ACTOR]
    /// [default: who is logged in]
    #[arg(long, value_name = "WHO", display_order = 900, value_parser = name_of_actor)]
    actor: Option<String>,
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
        let client = Client::with_trust(&url, &self.trust(api)).map_err(Failure::from)?;
        let client = match self.token(api)? {
            Some(token) => client.with_token(&token).map_err(Failure::from)?,
            None => client,
        };
        Ok(match self.actor(api) {
            Some(actor) => client.with_actor(&actor),
            None => client,
        })
    }

    /// The token to show. There is no option for the token itself: other users see what programs are
    /// started with.
    pub(crate) fn token(&self, api: &Api) -> Result<Option<String>, Failure> {
        match self.token_file(api) {
            Some(file) => token_in(file).map(Some),
            None => Ok(env("SABOT_TOKEN")),
        }
    }

    /// Who asks, for the server's audit: where it knows tokens, they say it.
    fn actor(&self, api: &Api) -> Option<String> {
        let told = api.actor.clone().or_else(|| self.api.actor.clone());
        told.or_else(|| ["SABOT_ACTOR", "USER", "LOGNAME"].into_iter().find_map(env))
    }

    /// Whether there is a token to show.
    pub(crate) fn has_token(&self, api: &Api) -> bool {
        self.token_file(api).is_some() || env("SABOT_TOKEN").is_some()
    }

    /// Whether a server was named, with the command or before it.
    pub(crate) fn names_server(&self, api: &Api) -> bool {
        self.before(api).is_some()
    }

    fn token_file<'a>(&'a self, api: &'a Api) -> Option<&'a Path> {
        api.token_file.as_deref().or(self.api.token_file.as_deref())
    }

    /// Which server was named on the command line, and how to believe it: options and their values, without
    /// what is secret.
    pub(crate) fn told(&self, api: &Api) -> Vec<(&'static str, Option<String>)> {
        let ca = api.ca.as_ref().or(self.api.ca.as_ref()).map(|ca| ca.display().to_string());
        let mut told = Vec::new();
        told.extend(self.before(api).map(|url| ("--host", Some(sabot_client::without_token(&url).0))));
        told.extend(ca.map(|ca| ("--ca", Some(ca))));
        told.extend((api.insecure || self.api.insecure).then_some(("--insecure", None)));
        let token = self.token_file(api).map(|file| file.display().to_string());
        told.extend(token.map(|file| ("--token-file", Some(file))));
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

/// More than any token has.
const LONGEST_TOKEN: u64 = 4096;

/// The token in a file; errors say nothing of what is in it.
fn token_in(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = File::open(file).and_then(|it| it.take(LONGEST_TOKEN).read_to_string(&mut text));
    let token = text.lines().next().unwrap_or_default().trim();
    let reason = match read {
        Err(error) => error.to_string(),
        Ok(_) if token.is_empty() => "its first line is empty".to_owned(),
        Ok(_) => return Ok(token.to_owned()),
    };
    let message = format!("failed to read the token in {}: {reason}", file.display());
    Err(Failure::new(message, "`sabot token create … > FILE` makes one"))
}

/// What the server takes for a name, in bytes.
const LONGEST_ACTOR: usize = 200;

/// A name that the server keeps; any other it would leave out without a word.
fn name_of_actor(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.len() > LONGEST_ACTOR || name.chars().any(char::is_control) {
        return Err(format!("must be a name or an address in one line, of at most {LONGEST_ACTOR} bytes"));
    }
    Ok(name.to_owned())
}

/// What the environment says, unless it is empty.
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
