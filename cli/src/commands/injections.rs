use std::io::{self, Write};

use clap::Args;
use futures_util::StreamExt;
use owo_colors::OwoColorize;
use sabot_client::{Client, Event, Injection, Which};
use serde_json::json;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::injection::{ends_in, fault, sentence, targets, tone, warnings};
use crate::table::Tone;
use crate::words;

/// List injections: what is on, what waits, and what was
#[derive(Args)]
#[command(visible_alias = "inj")]
pub(crate) struct Injections {
    /// Only this one, with all there is to say of it
    id: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = ["pending", "approved", "running", "aborted", "completed", "reverted", "failed"])]
    state: Option<String>,
    /// Only those that ask for this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Follow what happens, of one until it is over
    #[arg(short, long, conflicts_with_all = ["state", "service"])]
    watch: bool,
    #[command(flatten)]
    api: Api,
}

impl Run for Injections {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            if self.watch {
                return watch(cx, &client, self.id.as_deref()).await;
            }
            if let Some(id) = &self.id {
                let injection = client.injection(id).await.map_err(Failure::from)?;
                return cx.output.answer(&injection, |out| one(&injection, out));
            }
            let which = Which { state: self.state, service: self.service, limit: Some(self.limit) };
            let all = client.injections(&which).await.map_err(Failure::from)?;
            cx.output.answer(&all, |out| {
                if let Some(trouble) = &all.trouble {
                    writeln!(out, "{} nothing can be injected: {trouble}", "warning:".yellow().bold())?;
                }
                if all.unread {
                    return writeln!(
                        out,
                        "nothing is on now; what was on before the server's start is not known"
                    );
                }
                if all.injections.is_empty() {
                    return writeln!(out, "no injections; `sabot inject --help` shows how to ask for one");
                }
                let header = ["ID", "STATE", "FAULT", "TARGETS", "OWNER", "ENDS IN"];
                let mut table = cx.output.table(&header).align_right(&[5]);
                all.injections.iter().for_each(|injection| table.row(row(injection)));
                table.write(out)?;
                if all.more > 0 {
                    writeln!(out, "… and {} more: --limit shows them", all.more)?;
                }
                Ok(())
            })
        })
    }
}

fn row(injection: &Injection) -> [(String, Tone); 6] {
    let left = ends_in(injection).map(|left| words::millis(left.as_millis() as f64));
    [
        (injection.id.clone(), Tone::Strong),
        (injection.state.clone(), tone(&injection.state)),
        (fault(injection), Tone::Plain),
        (targets(injection), Tone::Plain),
        (injection.owner.clone(), Tone::Plain),
        left.map_or(("–".to_owned(), Tone::Dim), |left| (left, Tone::Plain)),
    ]
}

/// All there is to say of one.
fn one(injection: &Injection, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", sentence(injection).bold())?;
    let steady_state = injection.steady_state.as_ref().map(|it| {
        let bounds = [it.min.map(|min| format!("≥ {min}")), it.max.map(|max| format!("≤ {max}"))];
        let bounds = bounds.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        format!("{} {bounds}, or aborted after {} s", it.slo, it.abort_after)
    });
    let breach = injection.breach.as_ref().map(|it| {
        let value = it.value.map_or_else(|| "no data".to_owned(), |value| format!("{value:.4}"));
        format!(
            "{} was {value} instead of {} for {:.1} s, by {}",
            it.slo, it.objective, it.seconds, it.source
        )
    });
    let person = |it: &sabot_client::Actor| {
        if it.from.is_empty() { it.who.clone() } else { format!("{} from {}", it.who, it.from) }
    };
    let drawn = format!("{} of {} that were meant", injection.targets.join(", "), injection.matched);
    for (name, value) in [
        ("fault", Some(fault(injection))),
        ("targets", Some(drawn)),
        ("steady state", steady_state),
        ("hypothesis", Some(injection.hypothesis.clone())),
        ("owner", Some(injection.owner.clone())),
        ("asked for", Some(format!("{} by {}", injection.requested_at, person(&injection.requested_by)))),
        ("schedule", injection.schedule.clone()),
        ("approved by", injection.approved_by.as_ref().map(person)),
        ("on since", injection.started_at.clone()),
        ("ends by", injection.ends_at.clone().filter(|_| !injection.is_over())),
        ("off since", injection.ended_at.clone()),
        ("ended by", injection.ended_by.as_ref().map(person)),
        ("breach", breach),
        ("well again", injection.recovered_after_seconds.map(|seconds| format!("after {seconds} s"))),
    ] {
        if let Some(value) = value {
            writeln!(out, "{} {value}", format!("{name:<13}").dimmed())?;
        }
    }
    warnings(injection, out)
}

/// Tells what is on and then what happens, to one of them until it is over.
async fn watch(cx: &Context, client: &Client, id: Option<&str>) -> anyhow::Result<()> {
    // From before what is asked for now, so that nothing is missed between the two.
    let mut events = client.injection_events().await.map_err(Failure::from)?;
    let now = match id {
        Some(id) => vec![client.injection(id).await.map_err(Failure::from)?],
        None => client.injections(&Which::default()).await.map_err(Failure::from)?.injections,
    };
    for injection in now.iter().filter(|it| id.is_some() || !it.is_over()) {
        let event = Event { kind: "now".to_owned(), data: json!({ "injection": injection }) };
        cx.output.line(&event, |out| told(&event, out))?;
    }
    if id.is_some() && now.iter().all(Injection::is_over) {
        return Ok(());
    }
    while let Some(event) = events.next().await {
        let event = event.map_err(Failure::from)?;
        let missed = event.kind == "lagged";
        if !missed && id.is_some_and(|id| event.data["injection"]["id"] != id) {
            continue;
        }
        cx.output.line(&event, |out| told(&event, out))?;
        let Some(id) = id else { continue };
        // What was missed may be its end.
        let over = event.kind == "injection.ended"
            || missed && client.injection(id).await.map_err(Failure::from)?.is_over();
        if over {
            return Ok(());
        }
    }
    let help =
        "the server has stopped, or the token is worth nothing any more: `sabot injections` shows what is on";
    Err(Failure::new("the stream of events has ended", help).into())
}

fn told(event: &Event, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{}", format!("{:<20}", event.kind).bold())?;
    match serde_json::from_value::<Injection>(event.data["injection"].clone()) {
        Ok(injection) => write!(out, " {}", sentence(&injection)),
        Err(_) => {
            let name = event.data["name"].as_str().or(event.data["schedule"]["name"].as_str());
            write!(out, " {}", name.unwrap_or_default())
        }
    }
}
