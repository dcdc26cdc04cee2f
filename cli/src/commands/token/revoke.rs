use clap::Args;
use serde_json::json;

use super::{Place, Run, Tokens, actor, block_on, refused};
use crate::context::Context;
use crate::failure::Failure;

/// Revoke a token: it is worth nothing from now on, for a server that runs as well
#[derive(Args)]
pub(crate) struct Revoke {
    /// The token's id, as `sabot token list` shows it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    place: Place,
}

impl Run for Revoke {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        if self.id.starts_with("sabot_") {
            let message = "this is the token itself, and now also in the history of this shell";
            return Err(Failure::new(message, "give its id: `sabot token list` shows it").into());
        }
        match self.place.tokens(cx)? {
            Tokens::Directory(access) => {
                access.revoke(&actor(), &self.id).map_err(|error| refused(&error))?;
            }
            Tokens::Server(client) => {
                block_on(async { Ok(client.revoke_token(&self.id).await.map_err(Failure::from)?) })?;
            }
        }
        cx.output.answer(&json!({"revoked": self.id}), |out| writeln!(out, "revoked {}", self.id))
    }
}
