use std::io::{self, Write};

use clap::Args;
use owo_colors::OwoColorize;
use sabot_client::Event;
use serde_json::Value;

use super::events::follow;
use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::words;

/// Follow the requests on an HTTP proxy, as an access log
#[derive(Args)]
pub(crate) struct Requests {
    /// The proxy
    proxy: String,
    /// End after that many requests
    #[arg(short = 'c', long, value_name = "N")]
    count: Option<usize>,
    #[command(flatten)]
    api: Api,
}

impl Run for Requests {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            let requests = client.requests(&self.proxy).await.map_err(Failure::from)?;
            follow(cx, requests, self.count, people).await
        })
    }
}

/// `08:07:15.491  503  POST  /charge  0.213 ms  http_abort`.
fn people(event: &Event, out: &mut dyn Write) -> io::Result<()> {
    let field = |name: &str| &event.data[name];
    let at = field("at_ms").as_u64().map(words::time_of_day).unwrap_or_default();
    if event.kind != "request" {
        return write!(out, "{}  {}", at.dimmed(), format!("missed {}", field("missed")).bold());
    }
    let status = field("status").as_u64().map_or_else(|| "---".to_owned(), |status| status.to_string());
    let faults: Vec<_> = field("faults").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    write!(
        out,
        "{}  {}  {:<6}  {}  {:.3} ms",
        at.dimmed(),
        status.bold(),
        words::scalar(field("method")),
        words::scalar(field("path")),
        field("duration_ms").as_f64().unwrap_or_default(),
    )?;
    if faults.is_empty() { Ok(()) } else { write!(out, "  {}", faults.join(", ").bold()) }
}
