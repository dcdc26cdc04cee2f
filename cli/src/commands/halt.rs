use clap::Args;

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
            let halted = client.halt().await.map_err(Failure::from)?;
            let left = halted.out_of_scope;
            cx.output.answer(&halted, |out| {
                if halted.reverted.is_empty() {
                    return if left == 0 { writeln!(out, "nothing was on") } else { Ok(()) };
                }
                let count = words::count(halted.reverted.len() as u64, "injection", "injections");
                writeln!(out, "reverted {count}: {}", halted.reverted.join(", "))
            })?;
            if left > 0 {
                let count = words::count(left, "injection goes on", "injections go on");
                let message = format!("{count}, or wait for their turn, that this token may not touch");
                let help = "`sabot injections` shows whose they are; a token without a scope ends them";
                return Err(Failure::new(message, help).into());
            }
            Ok(())
        })
    }
}
