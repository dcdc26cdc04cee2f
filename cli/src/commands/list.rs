use clap::Args;
use serde_json::json;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::table::Tone;
use crate::words;

/// List all proxies
#[derive(Args)]
#[command(visible_aliases = ["l", "li", "ls"])]
pub(crate) struct List {
    #[command(flatten)]
    api: Api,
}

impl Run for List {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            let proxies = client.proxies().await.map_err(Failure::from)?;
            cx.output.answer(&json!({"proxies": proxies}), |out| {
                if proxies.is_empty() {
                    return writeln!(
                        out,
                        "no proxies yet; create one: sabot create -l localhost:16379 -u localhost:6379 redis"
                    );
                }
                let header = ["NAME", "LISTEN", "UPSTREAM", "STATE", "OPEN", "TOXICS"];
                let mut table = cx.output.table(&header).align_right(&[4]);
                for proxy in &proxies {
                    table.row([
                        (proxy.name.clone(), Tone::Strong),
                        (proxy.listen.clone(), Tone::Plain),
                        (proxy.upstream.clone(), Tone::Plain),
                        (
                            words::state(proxy.enabled).into(),
                            if proxy.enabled { Tone::Good } else { Tone::Bad },
                        ),
                        (proxy.connections.open.to_string(), Tone::Plain),
                        (
                            words::toxic_names(proxy),
                            if proxy.toxics.is_empty() { Tone::Dim } else { Tone::Active },
                        ),
                    ]);
                }
                table.write(out)
            })
        })
    }
}
