use clap::Args;
use serde_json::json;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;

/// Delete a proxy and close its connections
#[derive(Args)]
#[command(visible_alias = "d")]
pub(crate) struct Delete {
    /// The proxy
    name: String,
    #[command(flatten)]
    api: Api,
}

impl Run for Delete {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            client.delete_proxy(&self.name).await.map_err(Failure::from)?;
            cx.output.answer(&json!({"deleted": self.name}), |out| writeln!(out, "deleted {}", self.name))
        })
    }
}
