use std::collections::BTreeSet;

use clap::Args;
use sabot_client::Client;
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
            let left = if cx.output.is_json() { 0 } else { injected(&client).await? };
            cx.output.answer(&json!({"reset": true}), |out| match left {
                0 => writeln!(out, "every proxy is enabled and without toxics"),
                1 => writeln!(
                    out,
                    "every proxy is enabled and without toxics, but 1 injected fault stays on; `sabot halt` ends it"
                ),
                _ => writeln!(
                    out,
                    "every proxy is enabled and without toxics, but {left} injected faults stay on; `sabot halt` ends them"
                ),
            })
        })
    }
}

/// How many injections have a fault on: they are no toxics of people, and outlast a reset.
async fn injected(client: &Client) -> anyhow::Result<usize> {
    let proxies = client.proxies().await.map_err(Failure::from)?;
    let toxics = proxies.iter().flat_map(|proxy| &proxy.toxics);
    Ok(toxics.filter_map(|toxic| toxic.injection()).collect::<BTreeSet<_>>().len())
}
