//! `sabot audit`: what happened, whether that is all of it, and what was on at a moment.

mod verify;

use std::io::{self, Write};

use clap::{Args, Subcommand};
use owo_colors::OwoColorize;
use sabot_client::{AuditEvent, Client};
use serde_json::{Map, Value, json};

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::fold::fold;
use crate::injection::{fault, targets};
use crate::words;

/// Show who changed what, when, whence and why, by whatever route
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Times are RFC 3339, or HH:MM: the last time that it was so late in UTC. `sabot audit --at 02:47` answers whether it was \
us; --json-lines exports everything that is meant, from the beginning."
)]
pub(crate) struct Audit {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    api: Api,
}

#[derive(Subcommand)]
enum Verb {
    Verify(verify::Verify),
}

#[derive(Args)]
struct Which {
    /// From then on
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Done by them
    #[arg(long, value_name = "WHO")]
    who: Option<String>,
    /// What begins with these words, such as injection or injection.ended
    #[arg(long, value_name = "WORDS")]
    action: Option<String>,
    /// About this injection, schedule or token
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// So many at most: the newest, or with --json-lines the first [default: 20, or all with --json-lines]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Everything that is meant, an event of JSON a line, the oldest first
    #[arg(long)]
    json_lines: bool,
    /// Which injections were on at that moment
    #[arg(long, value_name = "TIME", conflicts_with_all = ["since", "until", "who", "action", "subject", "limit", "json_lines"])]
    at: Option<String>,
}

impl Run for Audit {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        if let Some(Verb::Verify(verb)) = self.verb {
            return verb.run(cx);
        }
        let client = cx.client(&self.api)?;
        let Which { since, until, who, action, subject, limit, json_lines, at } = self.which;
        let which = sabot_client::Audit { since, until, who, action, subject, after: None, limit };
        block_on(async {
            match at {
                Some(time) => was_on(cx, &client, &time).await,
                None if json_lines => lines(&client, which).await,
                None => newest(cx, &client, which).await,
            }
        })
    }
}

/// As many as people read.
const SHOWN: u32 = 20;

/// As many as one answer has.
const PAGE: u32 = 1000;

async fn newest(cx: &Context, client: &Client, which: sabot_client::Audit) -> anyhow::Result<()> {
    let which = sabot_client::Audit { limit: which.limit.or(Some(SHOWN)), ..which };
    let events = client.audit(&which).await.map_err(Failure::from)?;
    cx.output.answer(&json!({ "events": events }), |out| {
        if events.is_empty() {
            return writeln!(out, "nothing that is meant has happened");
        }
        let room = cx.output.room();
        events.iter().try_for_each(|event| told(event, room, out))
    })
}

/// Page for page, so that neither side holds all of it.
async fn lines(client: &Client, mut which: sabot_client::Audit) -> anyhow::Result<()> {
    let mut left = which.limit.map_or(u64::MAX, u64::from);
    let mut after = 0;
    while left > 0 {
        let page = u64::from(PAGE).min(left);
        which.after = Some(after);
        which.limit = u32::try_from(page).ok();
        let events = client.audit(&which).await.map_err(Failure::from)?;
        let Some(last) = events.last() else { break };
        after = last.seq;
        left -= page.min(events.len() as u64);
        let mut out = anstream::stdout().lock();
        for event in &events {
            writeln!(out, "{}", serde_json::to_string(event)?)?;
        }
        out.flush()?;
    }
    Ok(())
}

async fn was_on(cx: &Context, client: &Client, time: &str) -> anyhow::Result<()> {
    let client = client.clone().with_timeout(verify::PATIENCE);
    let on = client.audit_at(time).await.map_err(Failure::from)?;
    cx.output.answer(&on, |out| {
        let when = match &on.until {
            Some(until) => format!("from {} to {until}", on.time),
            None => format!("at {}", on.time),
        };
        let none = on.injections.is_empty();
        let count = words::count(on.injections.len() as u64, "injection was", "injections were");
        match (&on.begins, none, on.changes.is_empty()) {
            (Some(begins), true, _) => {
                writeln!(out, "{when} no injection is known: the journal begins at {begins}")?;
            }
            (None, true, true) => writeln!(out, "{when} no injection was on: it was not us")?,
            (None, true, false) => writeln!(out, "{when} no injection was on")?,
            (_, false, _) => writeln!(out, "{when} {count} on:")?,
        }
        for injection in &on.injections {
            let began = injection.started_at.as_deref().unwrap_or("–");
            let ended = injection.ended_at.as_deref().unwrap_or("now");
            writeln!(
                out,
                "  {} {} on {}, {began} to {ended} ({}), owner {}",
                injection.id.bold(),
                fault(injection),
                targets(injection),
                injection.state,
                injection.owner,
            )?;
        }
        if !on.changes.is_empty() {
            writeln!(out, "what was changed last before that, by hand:")?;
        }
        let room = cx.output.room();
        on.changes.iter().try_for_each(|change| told(change, room, out))
    })
}

/// One event on one line, or on as many of a terminal as it takes.
fn told(event: &AuditEvent, room: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    const INDENT: usize = 4;
    let from = if event.from.is_empty() { String::new() } else { format!(" ({})", event.from) };
    let (at, action) = (&event.at, format!("{:<19}", event.action));
    let used = at.chars().count() + 2 + action.chars().count() + 2;
    let told = fold(&format!("{}{from}  {}", event.who, rest(&event.rest)), used, room, INDENT);
    writeln!(out, "{}  {}  {}", at.dimmed(), action.bold(), told.trim_end())
}

/// What else belongs to it, but for what only machines want.
fn rest(rest: &Map<String, Value>) -> String {
    const QUIET: [&str; 6] = ["hash", "steady_ms", "boot", "seed", "matched", "duration_ms"];
    let told = |(name, value): (&String, &Value)| match (name.as_str(), value) {
        (name, Value::Null) if name != "seconds" => None,
        (name, _) if QUIET.contains(&name) => None,
        ("request", request) => Some(request_in_words(request)),
        ("schedule", schedule) if schedule.is_object() => {
            let (name, when) = (words::scalar(&schedule["name"]), words::scalar(&schedule["when"]));
            Some(format!("{name} {when} {}", request_in_words(&schedule["injection"])))
        }
        ("id" | "what" | "name", value) => Some(words::scalar(value)),
        (name, value) => Some(format!("{name}={}", words::scalar(value))),
    };
    rest.iter().filter_map(told).collect::<Vec<_>>().join(" ")
}

fn request_in_words(request: &Value) -> String {
    let text = |value: &Value| words::scalar(value);
    format!(
        "{} on {} for {} s, owner {}, “{}”",
        text(&request["fault"]["type"]),
        text(&request["target"]["service"]),
        text(&request["duration_seconds"]),
        text(&request["owner"]),
        text(&request["hypothesis"]),
    )
}
