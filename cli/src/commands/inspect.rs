use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use clap::Args;
use owo_colors::OwoColorize;
use sabot_client::{Client, Proxy};

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::words;

/// The column that says whose a toxic is, where not all are people's.
const OWNER: usize = 5;

/// Show a proxy and its toxics
#[derive(Args)]
#[command(visible_aliases = ["i", "ins"])]
pub(crate) struct Inspect {
    /// The proxy
    name: String,
    #[command(flatten)]
    api: Api,
}

impl Run for Inspect {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            let proxy = client.proxy(&self.name).await.map_err(Failure::from)?;
            let owners = if cx.output.is_json() { Owners::new() } else { owners(&client, &proxy).await };
            cx.output.answer(&proxy, |out| {
                head(&proxy, out)?;
                let mut header =
                    vec!["TOXIC", "TYPE", "STREAM", "SHARE", "APPLIED", "EXPIRES", "WHEN", "ATTRIBUTES"];
                if !owners.is_empty() {
                    header.insert(OWNER, "OWNER");
                }
                toxics(&proxy, &owners, cx.output.table(&header).align_right(&[3, 4]), out)
            })
        })
    }
}

fn head(proxy: &Proxy, out: &mut dyn Write) -> io::Result<()> {
    let state = words::state(proxy.enabled);
    let state = if proxy.enabled { state.green().to_string() } else { state.red().to_string() };
    writeln!(out, "{}  {state}", proxy.name.bold())?;
    writeln!(out, "{} → {}", proxy.listen, proxy.upstream)?;
    if proxy.protocol != "tcp" {
        writeln!(out, "protocol: {}", proxy.protocol)?;
    }
    if !proxy.labels.is_empty() {
        writeln!(out, "labels: {}", words::labels(proxy))?;
    }
    if let Some(tls) = &proxy.tls {
        writeln!(out, "tls: {}", words::tls(tls))?;
    }
    if let Some(most) = proxy.max_active_faults {
        writeln!(out, "{} at most under a fault", words::count(u64::from(most), "request", "requests"))?;
    }
    if let Some(host) = &proxy.host_rewrite {
        writeln!(out, "host: {host}, whatever the client asked for")?;
    }
    if proxy.x_forwarded_for {
        writeln!(out, "x-forwarded-for: the client's address is appended")?;
    }
    let open = words::count(proxy.connections.open, "connection", "connections");
    writeln!(out, "{open} open, {} in all", proxy.connections.total)
}

/// Whom to ask about an injection, by its id.
type Owners = BTreeMap<String, String>;

/// Those of the injections that have set a toxic here.
async fn owners(client: &Client, proxy: &Proxy) -> Owners {
    let ids: BTreeSet<_> = proxy.toxics.iter().filter_map(|toxic| toxic.injection()).collect();
    let mut owners = Owners::new();
    for id in ids {
        // It may have ended meanwhile; what is told of the proxy is true nevertheless.
        let owner = client.injection(id).await.map(|injection| injection.owner);
        owners.insert(id.to_owned(), owner.unwrap_or_else(|_| format!("injection {id}")));
    }
    owners
}

fn toxics(proxy: &Proxy, owners: &Owners, mut table: Table, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    if proxy.toxics.is_empty() {
        let name = &proxy.name;
        return writeln!(out, "no toxics; add one: sabot toxic add -t latency -a latency=100ms {name}");
    }
    for toxic in &proxy.toxics {
        let expires =
            toxic.expires_in_ms.map_or_else(|| "–".to_owned(), |ms| format!("in {}", words::millis(ms)));
        let mut row = vec![
            (toxic.name.clone(), Tone::Strong),
            (toxic.kind.clone(), Tone::Active),
            (toxic.stream.as_str().to_owned(), Tone::Plain),
            (words::share(toxic.toxicity), Tone::Plain),
            (toxic.applied.to_string(), Tone::Plain),
            (expires, Tone::Dim),
            // Last what has no bound: it makes no other row wider.
            (words::when(&toxic.when), Tone::Dim),
            (words::attributes(toxic), Tone::Plain),
        ];
        if !owners.is_empty() {
            let owner = toxic.injection().and_then(|id| owners.get(id));
            row.insert(OWNER, (owner.unwrap_or(&toxic.owner).clone(), Tone::Plain));
        }
        table.row(row);
    }
    table.write(out)
}
