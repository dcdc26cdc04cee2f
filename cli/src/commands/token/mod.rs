//! The commands below `sabot token`: one file each, one line in the list.

mod create;
mod list;
mod revoke;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sabot_client::{Client, Token as Known};
use sabot_injections::access::{Access, AccessError, Token as Kept};
use sabot_injections::event::Actor;
use sabot_injections::journal;
use sabot_injections::rules::moment;

use super::{Run, block_on};
use crate::context::{Api, Context, env};
use crate::failure::Failure;

/// Create, list or revoke the tokens of a server that runs with --auth
#[derive(Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
The first token is made in the state directory of the server (--state-dir or SABOT_STATE_DIR), whether or not it \
runs, by whoever may write there. Whoever has an admin's token, in SABOT_TOKEN or by --token-file, asks the server \
instead; --host names it.

  viewer     sees everything, changes nothing
  operator   sees everything, sets faults and takes them back
  approver   sees everything, approves what others ask for, and sets no faults
  admin      does everything, and says who else may"
)]
pub(crate) struct Token {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Create(create::Create),
    List(list::List),
    Revoke(revoke::Revoke),
}

impl Run for Token {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        match self.verb {
            Verb::Create(verb) => verb.run(cx),
            Verb::List(verb) => verb.run(cx),
            Verb::Revoke(verb) => verb.run(cx),
        }
    }
}

/// Where the tokens are.
#[derive(Args)]
struct Place {
    /// The server's state directory, instead of asking the server [env: SABOT_STATE_DIR]
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    api: Api,
}

/// Tokens, there.
enum Tokens {
    Directory(Access),
    Server(Box<Client>),
}

impl Place {
    /// The tokens that there are. A directory without any is refused: it is another than was meant.
    fn tokens(&self, cx: &Context) -> anyhow::Result<Tokens> {
        match self.directory(cx) {
            Some(directory) if !directory.join(journal::FILE).exists() => {
                let message = format!("there is no journal in {}", shown(&directory));
                let help = "name the state directory of the server with --state-dir; `sabot token create` makes the \
                            first token in one";
                Err(Failure::new(message, help).into())
            }
            directory => self.open(cx, directory),
        }
    }

    /// The same, of a server that may not have been started yet, and the directory that they are kept in. The last
    /// part of its path is made if need be; one of which more is not there was mistyped.
    fn tokens_or_new(&self, cx: &Context) -> anyhow::Result<(Tokens, Option<PathBuf>)> {
        let directory = self.directory(cx);
        if let Some(directory) = &directory
            && let whole = std::path::absolute(directory).unwrap_or_else(|_| directory.clone())
            && let Some(parent) = whole.parent().filter(|parent| !parent.is_dir())
        {
            let message = format!("there is no directory {} to make a state directory in", parent.display());
            let help = "name the state directory of the server with --state-dir, or make that one first";
            return Err(Failure::new(message, help).into());
        }
        Ok((self.open(cx, directory.clone())?, directory))
    }

    fn open(&self, cx: &Context, directory: Option<PathBuf>) -> anyhow::Result<Tokens> {
        match directory {
            Some(directory) => {
                Ok(Tokens::Directory(Access::open(&directory).map_err(|error| refused(&error))?))
            }
            None => Ok(Tokens::Server(Box::new(cx.client(&self.api)?))),
        }
    }

    /// What was said with the command comes before what the environment says, and there a token before a
    /// directory: whoever has one means the server that it is for.
    fn directory(&self, cx: &Context) -> Option<PathBuf> {
        let asks = cx.names_server(&self.api) || cx.has_token(&self.api);
        let usual = || env("SABOT_STATE_DIR").filter(|_| !asks).map(PathBuf::from);
        self.state_dir.clone().or_else(usual)
    }
}

/// A directory as it is found from anywhere.
fn shown(directory: &Path) -> String {
    std::path::absolute(directory).as_deref().unwrap_or(directory).display().to_string()
}

/// Who changes the tokens of a directory: whoever may write there has proven enough.
fn actor() -> Actor {
    let name = env("SUDO_USER").or_else(|| env("USER")).or_else(|| env("LOGNAME"));
    Actor::new(name.unwrap_or_else(|| "local".to_owned()), "local")
}

fn refused(error: &AccessError) -> Failure {
    let message = error.to_string();
    match error {
        AccessError::Invalid(_) => {
            Failure::new(message, "`sabot token create --help` shows what can be given")
        }
        AccessError::NotFound(_) => Failure::new(message, "`sabot token list` shows those there are"),
        AccessError::NoChance(_) => Failure::new(message, "no token can be made on this machine now"),
        AccessError::Journal(_) => Failure::new(
            message,
            "name the state directory of the server with --state-dir, as a user who may write there",
        ),
    }
}

/// As the server shows it.
fn known(access: &Access, token: Kept) -> Known {
    Known {
        expired: access.expired(&token),
        id: token.id,
        owner: token.owner,
        role: token.role.to_string(),
        scope: token.scope.to_string(),
        created_at: moment(token.created_at_ms),
        expires_at: token.expires_at_ms.map(moment),
    }
}
