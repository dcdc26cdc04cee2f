use clap::Args;
use serde_json::json;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;

/// Remove a toxic; what it held goes on at once
#[derive(Args)]
#[command(visible_aliases = ["r", "delete", "d"])]
pub(crate) struct Remove {
    /// The proxy
    proxy: String,
    /// The toxic
    #[arg(short, long, alias = "toxicName")]
    name: String,
    #[command(flatten)]
    api: Api,
}

impl Run for Remove {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            client.remove_toxic(&self.proxy, &self.name).await.map_err(Failure::from)?;
            let answer = json!({"removed": self.name, "proxy": self.proxy});
            cx.output.answer(&answer, |out| writeln!(out, "removed {} from {}", self.name, self.proxy))
        })
    }
}
