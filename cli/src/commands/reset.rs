use clap::Args;
use serde_json::json;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;

/// Enable every proxy and remove every toxic
#[derive(Args)]
pub(crate) struct Reset {
    #[command(flatten)]
    api: Api,
}

impl Run for Reset {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            client.reset().await.map_err(Failure::from)?;
            cx.output.answer(&json!({"reset": true}), |out| {
                writeln!(out, "every proxy is enabled and without toxics")
            })
        })
    }
}
