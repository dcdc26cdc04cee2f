use clap::Args;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::injection::{fault, targets};

/// Take an injection back: its fault is off when this returns
#[derive(Args)]
pub(crate) struct Revert {
    /// The injection
    id: String,
    #[command(flatten)]
    api: Api,
}

impl Run for Revert {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            let injection = client.revert_injection(&self.id).await.map_err(Failure::from)?;
            cx.output.answer(&injection, |out| {
                let (what, on) = (fault(&injection), targets(&injection));
                match injection.started_at {
                    Some(_) => writeln!(out, "reverted {}: {what} is off {on}", injection.id),
                    None => writeln!(out, "reverted {}: {what} was not on {on} yet", injection.id),
                }
            })
        })
    }
}
