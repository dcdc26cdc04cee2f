use clap::Args;
use sabot_client::Proxy;
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
                // Plain TCP alone looks as it does in toxiproxy-cli.
                let telling = proxies.iter().any(|proxy| words::protocol(proxy).is_some());
                let mut header = vec!["NAME", "LISTEN", "UPSTREAM", "STATE", "OPEN", "TOXICS"];
                if telling {
                    header.insert(3, "PROTOCOL");
                }
                let labelled = proxies.iter().any(|proxy| !proxy.labels.is_empty());
                if labelled {
                    header.insert(header.len() - 1, "LABELS");
                }
                let mut table = cx.output.table(&header).align_right(&[4 + usize::from(telling)]);
                for proxy in &proxies {
                    let mut row = row(proxy);
                    if telling {
                        let protocol = words::protocol(proxy).unwrap_or_else(|| proxy.protocol.clone());
                        row.insert(3, (protocol, Tone::Plain));
                    }
                    if labelled {
                        row.insert(row.len() - 1, (words::labels(proxy), Tone::Plain));
                    }
                    table.row(row);
                }
                table.write(out)
            })
        })
    }
}

fn row(proxy: &Proxy) -> Vec<(String, Tone)> {
    let state = if proxy.enabled { Tone::Good } else { Tone::Bad };
    let toxics = if proxy.toxics.is_empty() { Tone::Dim } else { Tone::Active };
    vec![
        (proxy.name.clone(), Tone::Strong),
        (proxy.listen.clone(), Tone::Plain),
        (proxy.upstream.clone(), Tone::Plain),
        (words::state(proxy.enabled).into(), state),
        (proxy.connections.open.to_string(), Tone::Plain),
        (words::toxic_names(proxy), toxics),
    ]
}
