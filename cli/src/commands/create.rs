use clap::Args;
use sabot_client::NewProxy;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;

/// Create a proxy
#[derive(Args)]
#[command(
    visible_aliases = ["c", "new"],
    after_help = "Addresses are host:port, [v6]:port, :port (all interfaces) or unix:/path; port 0 is a free port."
)]
pub(crate) struct Create {
    /// Name of the new proxy
    name: String,
    /// Where it listens; without it a free port on all interfaces
    #[arg(short, long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where it connects to
    #[arg(short, long, value_name = "ADDRESS")]
    upstream: String,
    /// What it speaks: http proxies see every request, and take toxics that act on requests
    #[arg(short, long, value_name = "PROTOCOL", value_parser = ["tcp", "http"])]
    protocol: Option<String>,
    /// How many requests of an http proxy may be under a fault at one time; those above it pass without
    #[arg(long, value_name = "N")]
    max_active_faults: Option<u32>,
    /// Create it disabled
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    api: Api,
}

impl Run for Create {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        let proxy = NewProxy {
            listen: self.listen,
            protocol: self.protocol,
            max_active_faults: self.max_active_faults,
            enabled: !self.disabled,
            ..NewProxy::new(self.name, self.upstream)
        };
        block_on(async {
            let proxy = client.create_proxy(&proxy).await.map_err(Failure::from)?;
            cx.output.answer(&proxy, |out| {
                writeln!(out, "created {}: {} → {}", proxy.name, proxy.listen, proxy.upstream)
            })
        })
    }
}
