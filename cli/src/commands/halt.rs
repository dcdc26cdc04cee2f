use clap::Args;
use serde_json::json;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::words;

/// Take all injections back, at once: what is on, and what waits
#[derive(Args)]
pub(crate) struct Halt {
    #[command(flatten)]
    api: Api,
}

impl Run for Halt {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            let reverted = client.halt().await.map_err(Failure::from)?;
            cx.output.answer(&json!({ "reverted": reverted }), |out| {
                if reverted.is_empty() {
                    return writeln!(out, "nothing was on");
                }
                let count = words::count(reverted.len() as u64, "injection", "injections");
                writeln!(out, "reverted {count}: {}", reverted.join(", "))
            })
        })
    }
}
