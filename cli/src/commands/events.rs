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
            let mut events = client.events(&self.proxy).await.map_err(Failure::from)?;
            let mut left = self.count.unwrap_or(usize::MAX);
            while left > 0
                && let Some(event) = events.next().await
            {
                let event = event.map_err(Failure::from)?;
                cx.output.line(&event, |out| people(&event, out))?;
                left -= 1;
            }
            Ok(())
        })
    }
}

/// `connection_opened  id=1 client=127.0.0.1:5`, whatever the fields are.
fn people(event: &Event, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{}", format!("{:<18}", event.kind).bold())?;
    if let Value::Object(fields) = &event.data {
        for (name, value) in fields.iter().filter(|(name, value)| *name != "type" && !value.is_null()) {
            write!(out, " {}{}", format!("{name}=").dimmed(), words::scalar(value))?;
        }
    }
    Ok(())
}
