use clap::Args;
use serde_json::json;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::table::Tone;
use crate::words;

/// Show live connections: bytes each way, and which toxics have them
#[derive(Args)]
#[command(visible_alias = "conns")]
pub(crate) struct Connections {
    /// Only those of this proxy
    proxy: Option<String>,
    #[command(flatten)]
    api: Api,
}

impl Run for Connections {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            let connections = client.connections(self.proxy.as_deref()).await.map_err(Failure::from)?;
            cx.output.answer(&json!({"connections": connections}), |out| {
                if connections.is_empty() {
                    return writeln!(out, "no connections");
                }
                let mut header = vec![
                    "ID", "PROXY", "CLIENT", "UPSTREAM", "STATE", "AGE", "↑ SENT", "↓ SENT", "HELD", "TOXICS",
                ];
                // Most proxies have no TLS to read a name from.
                let named = connections.iter().any(|connection| connection.sni.is_some());
                if named {
                    header.push("SNI");
                }
                let mut table = cx.output.table(&header).align_right(&[0, 5, 6, 7, 8]);
                for connection in &connections {
                    let toxics = connection.toxics.join(", ");
                    let sni = named.then(|| match &connection.sni {
                        Some(name) => (name.clone(), Tone::Plain),
                        None => ("–".into(), Tone::Dim),
                    });
                    let cells = [
                        (connection.id.to_string(), Tone::Strong),
                        (connection.proxy.clone(), Tone::Plain),
                        (connection.client.clone(), Tone::Plain),
                        (connection.upstream.clone(), Tone::Plain),
                        (connection.state.clone(), Tone::Plain),
                        (words::millis(connection.opened_ms_ago as f64), Tone::Plain),
                        (words::bytes(connection.bytes_upstream as f64), Tone::Plain),
                        (words::bytes(connection.bytes_downstream as f64), Tone::Plain),
                        (words::bytes(connection.held_bytes as f64), Tone::Plain),
                        if toxics.is_empty() { ("–".into(), Tone::Dim) } else { (toxics, Tone::Active) },
                    ];
                    table.row(cells.into_iter().chain(sni));
                }
                table.write(out)
            })
        })
    }
}
