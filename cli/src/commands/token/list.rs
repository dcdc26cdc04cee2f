use clap::Args;
use sabot_client::Token;
use serde_json::json;

use super::{Place, Run, Tokens, block_on, known, refused};
use crate::context::Context;
use crate::failure::Failure;
use crate::table::Tone;

/// List the tokens, the oldest first; not what they are, which nobody knows but their owners
#[derive(Args)]
#[command(visible_alias = "ls")]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
}

impl Run for List {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let tokens: Vec<_> = match self.place.tokens(cx)? {
            Tokens::Directory(access) => {
                let all = access.tokens().map_err(|error| refused(&error))?;
                all.into_iter().map(|token| known(&access, token)).collect()
            }
            Tokens::Server(client) => block_on(async { Ok(client.tokens().await.map_err(Failure::from)?) })?,
        };
        cx.output.answer(&json!({"tokens": tokens}), |out| {
            if tokens.is_empty() {
                return writeln!(out, "no tokens yet: `sabot token create` makes one");
            }
            let mut table = cx.output.table(&["TOKEN", "OWNER", "ROLE", "SCOPE", "CREATED", "EXPIRES"]);
            for token in &tokens {
                table.row(row(token));
            }
            table.write(out)
        })
    }
}

fn row(token: &Token) -> [(String, Tone); 6] {
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    let (expires, tone) = match &token.expires_at {
        None => ("never".to_owned(), Tone::Plain),
        Some(at) if token.expired => (format!("{at} (expired)"), Tone::Bad),
        Some(at) => (at.clone(), Tone::Plain),
    };
    [
        (token.id.clone(), Tone::Strong),
        (token.owner.clone(), Tone::Plain),
        (token.role.clone(), Tone::Plain),
        (or(&token.scope, "all"), Tone::Plain),
        (token.created_at.clone(), Tone::Dim),
        (expires, tone),
    ]
}
