use clap::Args;
use sabot_client::ProxyPatch;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::words;

/// Enable a disabled proxy, disable an enabled one
#[derive(Args)]
#[command(visible_alias = "tog")]
pub(crate) struct Toggle {
    /// The proxy
    name: String,
    #[command(flatten)]
    api: Api,
}

impl Run for Toggle {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            let before = client.proxy(&self.name).await.map_err(Failure::from)?;
            let patch = ProxyPatch { enabled: Some(!before.enabled), ..ProxyPatch::default() };
            let proxy = client.update_proxy(&self.name, &patch).await.map_err(Failure::from)?;
            cx.output
                .answer(&proxy, |out| writeln!(out, "{} is now {}", proxy.name, words::state(proxy.enabled)))
        })
    }
}
