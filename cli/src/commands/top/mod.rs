//! `sabot top`: what goes through the proxies, live.

mod sample;
mod screen;

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use sabot_client::Client;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::words;
use sample::{Row, Sampler};

/// Watch proxies live: connections, bytes a second each way, toxics
#[derive(Args)]
#[command(after_help = "\
On a terminal a table that refreshes (q leaves); elsewhere, or as JSON, a line for each proxy and interval.")]
pub(crate) struct Top {
    /// Time between refreshes
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = crate::span::parse)]
    interval: Duration,
    /// End after that many refreshes
    #[arg(short = 'c', long, value_name = "N")]
    count: Option<usize>,
    #[command(flatten)]
    api: Api,
}

impl Run for Top {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        let live = std::io::stdout().is_terminal() && !cx.output.is_json();
        let count = self.count.unwrap_or(usize::MAX);
        if live {
            block_on(screen::run(client, self.interval, count))
        } else {
            block_on(lines(cx, client, self.interval, count))
        }
    }
}

async fn lines(cx: &Context, client: Client, interval: Duration, count: usize) -> anyhow::Result<()> {
    let mut sampler = Sampler::new(client);
    for left in (0..count).rev() {
        for row in sampler.sample().await.map_err(Failure::from)? {
            cx.output.line(&row, |out| write!(out, "{}", line(&row)))?;
        }
        if left > 0 {
            tokio::time::sleep(interval).await;
        }
    }
    Ok(())
}

fn line(row: &Row) -> String {
    let Row { name, enabled, open, up_per_s, down_per_s, shown, .. } = row;
    let (up, down) = (words::bytes(*up_per_s), words::bytes(*down_per_s));
    format!("{name} {} open={open} up={up}/s down={down}/s toxics={shown}", words::state(*enabled))
}
