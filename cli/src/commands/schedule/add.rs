use clap::Args;
use owo_colors::OwoColorize;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::injection::{Parts, kind};

/// Have an injection come again
#[derive(Args)]
#[command(after_help = "\
Its parts are those of `sabot inject`. One that cannot begin when its time comes waits with --queue, and is left out \
without.")]
pub(crate) struct Add {
    /// Name of the schedule
    name: String,
    /// When: `@every 6h`, or five fields of cron and a time zone, `30 2 * * MON-FRI Europe/Berlin`
    #[arg(long, value_name = "TIMES")]
    when: String,
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    api: Api,
}

impl Run for Add {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        let injection = self.parts.read()?;
        block_on(async {
            let added = client.add_schedule(&self.name, &self.when, &injection).await;
            let added = added.map_err(|error| Failure::from(error).about_kind(kind(&injection)))?;
            cx.output.answer(&added, |out| {
                let next = added.next_at.as_deref().unwrap_or("never");
                writeln!(out, "added {}: {}, next {next}", added.name, added.when)?;
                match &added.warning {
                    Some(warning) => writeln!(out, "{} {warning}", "warning:".yellow().bold()),
                    None => Ok(()),
                }
            })
        })
    }
}
