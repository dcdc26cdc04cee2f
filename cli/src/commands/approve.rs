use clap::Args;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::injection::sentence;

/// Approve an injection that waits for a second person
#[derive(Args)]
pub(crate) struct Approve {
    /// The injection
    id: String,
    /// Who approves; believed where the server knows no tokens, and not needed where it does
    #[arg(long = "as", value_name = "WHO")]
    approver: Option<String>,
    #[command(flatten)]
    api: Api,
}

impl Run for Approve {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            let approved = client.approve_injection(&self.id, self.approver.as_deref()).await;
            let injection = approved.map_err(Failure::from)?;
            cx.output.answer(&injection, |out| writeln!(out, "approved; {}", sentence(&injection)))
        })
    }
}
