use clap::Args;
use serde_json::json;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;

/// Remove a schedule; what it has started goes on
#[derive(Args)]
#[command(visible_alias = "rm")]
pub(crate) struct Remove {
    /// Name of the schedule
    name: String,
    #[command(flatten)]
    api: Api,
}

impl Run for Remove {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            client.remove_schedule(&self.name).await.map_err(Failure::from)?;
            cx.output.answer(&json!({ "removed": self.name }), |out| writeln!(out, "removed {}", self.name))
        })
    }
}
