use std::io::{self, Write};

use clap::Args;
use futures_util::StreamExt;
use owo_colors::OwoColorize;
use sabot_client::Event;
use serde_json::Value;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::words;

/// Follow what happens on a proxy
#[derive(Args)]
pub(crate) struct Events {
    /// The proxy
    proxy: String,
    /// End after that many events
    #[arg(short = 'c', long, value_name = "N")]
    count: Option<usize>,
    #[command(flatten)]
    api: Api,
}

impl Run for Events {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            let events = client.events(&self.proxy).await.map_err(Failure::from)?;
            follow(cx, events, self.count, people).await
        })
    }
}

/// Prints what comes, until the stream ends or there were `count`.
pub(super) async fn follow(
    cx: &Context,
    mut events: sabot_client::Events,
    count: Option<usize>,
    people: fn(&Event, &mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut left = count.unwrap_or(usize::MAX);
    while left > 0
        && let Some(event) = events.next().await
    {
        let event = event.map_err(Failure::from)?;
        cx.output.line(&event, |out| people(&event, out))?;
        left -= 1;
    }
    Ok(())
}

/// `08:07:15.491  connection_opened  connection=1 …`, whatever the fields are.
fn people(event: &Event, out: &mut dyn Write) -> io::Result<()> {
    let Value::Object(fields) = &event.data else {
        return write!(out, "{}", event.kind.bold());
    };
    let at = fields.get("at_ms").and_then(Value::as_u64).map(words::time_of_day).unwrap_or_default();
    write!(out, "{}  {}", at.dimmed(), format!("{:<17}", event.kind).bold())?;
    let told = |name: &str| !matches!(name, "type" | "at_ms");
    for (name, value) in fields.iter().filter(|(name, value)| told(name) && !value.is_null()) {
        write!(out, " {}{}", format!("{name}=").dimmed(), words::scalar(value))?;
    }
    Ok(())
}
