use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use sabot_client::{Client, Error, Event, Events, Injection};
use serde_json::Value;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::injection::{Parts, kind, sentence, warning, warnings};

/// Break something for a while, with all that makes it safe to try
#[derive(Args)]
#[command(after_help = "\
A fault needs six parts: what may break (--service, --selector, --max-targets), how (-t, -a), for how long \
(--duration), what has to stay true (--slo, --min or --max, --abort-after), what you expect (--hypothesis) and whom to \
ask (--owner). It ends by itself, also if this machine and the server die.

`sabot revert ID` ends one, `sabot halt` all. Ctrl-C under --wait leaves it on until its time is up, or until its \
--lease is.")]
pub(crate) struct Inject {
    #[command(flatten)]
    parts: Parts,
    /// Follow it until it is over: exit 0 if it completed, 1 otherwise
    #[arg(short, long)]
    wait: bool,
    #[command(flatten)]
    api: Api,
}

impl Run for Inject {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        let injection = self.parts.read()?;
        block_on(async {
            // From before, so that nothing is missed.
            let events = if self.wait { client.injection_events().await.ok() } else { None };
            let asked = client.inject(&injection).await;
            let injection = asked.map_err(|error| Failure::from(error).about_kind(kind(&injection)))?;
            if !self.wait {
                return cx.output.answer(&injection, |out| {
                    writeln!(out, "{}", sentence(&injection))?;
                    warnings(&injection, out)
                });
            }
            let over = follow(cx, &client, events, injection).await?;
            if cx.output.is_json() {
                cx.output.answer(&over, |_| Ok(()))?;
            }
            if over.state == "completed" {
                return Ok(());
            }
            let help = format!("`sabot audit --subject {}` tells what happened to it", over.id);
            Err(Failure::new(sentence(&over), help).into())
        })
    }
}

/// Should an event be missed, it is asked for.
const EVERY: Duration = Duration::from_secs(5);

/// Tells each state until it is over, and renews its lease.
async fn follow(
    cx: &Context,
    client: &Client,
    mut events: Option<Events>,
    mut injection: Injection,
) -> anyhow::Result<Injection> {
    let lease = injection.lease_seconds.map(|lease| Duration::from_secs_f64((lease / 3.0).max(0.01)));
    let mut ticks = tokio::time::interval(lease.map_or(EVERY, |lease| lease.min(EVERY)));
    let mut told = String::new();
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        // What ends otherwise is an error, and told as one.
        let tell = !injection.is_over() || injection.state == "completed";
        if tell && injection.state != told && !cx.output.is_json() {
            cx.output.line(&injection, |out| {
                write!(out, "{}", sentence(&injection))?;
                match &*injection.state {
                    "running" => {
                        injection.warnings.iter().try_for_each(|it| write!(out, "\n{}", warning(it)))
                    }
                    _ => Ok(()),
                }
            })?;
        }
        told.clone_from(&injection.state);
        if injection.is_over() {
            return Ok(injection);
        }
        tokio::select! {
            event = next(&mut events), if events.is_some() => match event {
                Some(Ok(event)) => {
                    // Events from before the answer tell of what it was.
                    if let Some(now) = of(&event.data, &injection.id).filter(|it| place(it) >= place(&injection)) {
                        injection = now;
                    }
                }
                // The server, or the network, is gone for now: it is asked from time to time.
                Some(Err(_)) | None => events = None,
            },
            _ = &mut interrupt => {
                let message = format!("no longer followed: {}", sentence(&injection));
                return Err(Failure::new(message, format!("`sabot revert {}` ends it now", injection.id)).into());
            }
            _ = ticks.tick() => {
                if lease.is_some() && injection.state == "running" {
                    // One that has ended meanwhile has no lease to renew.
                    let _ = client.renew_injection(&injection.id).await;
                }
                match client.injection(&injection.id).await {
                    Ok(now) => injection = now,
                    Err(error) if error.status().is_some() => return Err(Failure::from(error).into()),
                    // It may come back, and then it goes on.
                    Err(_) => {}
                }
                if events.is_none() {
                    // Where there are too many streams already it is asked from time to time.
                    events = client.injection_events().await.ok();
                }
            }
        }
    }
}

async fn next(events: &mut Option<Events>) -> Option<Result<Event, Error>> {
    events.as_mut()?.next().await
}

/// How far it is in its life.
fn place(injection: &Injection) -> usize {
    let before = ["pending", "approved", "running"];
    before.iter().position(|state| *state == injection.state).unwrap_or(before.len())
}

/// The injection that an event is about, if it is this one.
fn of(data: &Value, id: &str) -> Option<Injection> {
    let injection = &data["injection"];
    (injection["id"] == id).then(|| serde_json::from_value(injection.clone()).ok()).flatten()
}
