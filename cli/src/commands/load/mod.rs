//! `sabot load`: drive a load and say what became of it.

mod progress;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use sabot_document::{Document, DocumentError};
use sabot_runner::load::{Load as Ready, Plan, Recorder, Running, Sink};
use serde_json::{Map, Value, json};

use super::{Run, block_on};
use crate::context::Context;
use crate::failure::Failure;
use crate::interrupt::Signals;
use crate::output::Output;
use crate::span;

/// Send requests at a given rate, whatever becomes of them, and say what did (needs no server)
#[derive(Args)]
#[command(after_help = "\
The load is an open model: requests start when the schedule says, and latency counts from then, so that a \
stalled server shows in all requests that met the stall. Options stand before what the plan's file says.

  sabot load http://localhost:8080/orders/1 --rate 300/s --for 30s
  sabot load plan.yaml --seed 7 -o json
  sabot load plan.yaml --print-requests 5")]
pub(crate) struct Load {
    /// A URL, or the file of a plan (YAML, JSON, TOML; see docs/load.md)
    #[arg(value_name = "URL|PLAN")]
    what: String,
    /// Requests a second, such as 300/s
    #[arg(short, long, value_name = "RATE")]
    rate: Option<String>,
    /// How long, such as 30s
    #[arg(long = "for", value_name = "TIME", value_parser = span::positive)]
    span: Option<Duration>,
    /// The seed of arrivals and requests
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// At even distances, or as independent users come
    #[arg(long, value_name = "HOW", value_parser = ["uniform", "poisson"])]
    arrivals: Option<String>,
    /// Connections to each target at most
    #[arg(short, long, value_name = "N")]
    connections: Option<u32>,
    /// Limit of an answer
    #[arg(long, value_name = "TIME", value_parser = span::positive)]
    timeout: Option<Duration>,
    /// Threads that send [default: as the rate needs]
    #[arg(long, value_name = "N")]
    workers: Option<u16>,
    /// Send HTTP/2 always, also without TLS
    #[arg(long)]
    http2: bool,
    /// A header of every request, as NAME: VALUE
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Believe any certificate of the target
    #[arg(long)]
    any_certificate: bool,
    /// Send nothing: print the first N requests
    #[arg(long, value_name = "N")]
    print_requests: Option<u64>,
}

/// What a URL is sent if nobody says how much.
const RATE: &str = "10/s";
const SPAN: &str = "10s";

impl Run for Load {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let load = Arc::new(self.ready()?);
        if let Some(count) = self.print_requests {
            return print(&cx.output, &load, count);
        }
        block_on(drive(cx, load))
    }
}

impl Load {
    /// The plan of the file or URL, with the options laid over it, checked.
    fn ready(&self) -> anyhow::Result<Ready> {
        let is_url = self.what.contains("://");
        check_url(&self.what)?;
        let source = (!is_url)
            .then(|| Document::read(Path::new(&self.what)))
            .transpose()
            .map_err(|error| refused(&error))?;
        let mut plan = match &source {
            None => Map::from_iter([("target".to_owned(), json!(self.what))]),
            Some(source) => match source.to_value() {
                Value::Object(plan) => plan,
                _ => {
                    return Err(refused(&source.refuse("", "must be an object: the plan of a load")));
                }
            },
        };
        let own_folder = PathBuf::from(&self.what).parent().map(Path::to_path_buf);
        if let (Some(folder), Some(_)) = (own_folder, &source) {
            relative_files(&mut plan, &folder);
        }
        self.lay_over(&mut plan)?;
        if is_url {
            plan.entry("rate").or_insert_with(|| json!(RATE));
            plan.entry("duration").or_insert_with(|| json!(SPAN));
        }
        let ready = Plan::read(Value::Object(plan)).and_then(Ready::new);
        ready.map_err(|error| match source {
            Some(source) => refused(&source.refuse(&error.field, error.message)),
            None => Failure::new(error.to_string(), "`sabot load --help` shows the options").into(),
        })
    }

    fn lay_over(&self, plan: &mut Map<String, Value>) -> anyhow::Result<()> {
        let given = [
            ("rate", self.rate.as_ref().map(|rate| json!(rate))),
            ("duration", self.span.map(millis)),
            ("seed", self.seed.map(|seed| json!(seed))),
            ("arrivals", self.arrivals.as_ref().map(|arrivals| json!(arrivals))),
            ("connections", self.connections.map(|count| json!(count))),
            ("timeout", self.timeout.map(millis)),
            ("workers", self.workers.map(|count| json!(count))),
            ("http2", self.http2.then(|| json!(true))),
        ];
        for (field, value) in given {
            if let Some(value) = value {
                plan.insert(field.to_owned(), value);
            }
        }
        if self.any_certificate {
            insert_into(plan, "tls", "insecure", json!(true));
        }
        for header in &self.headers {
            let (name, value) = header.split_once(':').ok_or_else(|| {
                Failure::new(format!("`{header}` is no header"), "write it as --header 'x-run: 7'")
            })?;
            insert_into(plan, "headers", &name.trim().to_lowercase(), json!(value.trim()));
        }
        Ok(())
    }
}

/// As a plan has a time without a unit.
fn millis(span: Duration) -> Value {
    json!(span.as_secs_f64() * 1e3)
}

/// Refuses what is meant for a URL, and is none that a GET could be sent to.
pub(crate) fn check_url(what: &str) -> anyhow::Result<()> {
    let (scheme, host) = what.split_once("://").unwrap_or(("", what));
    if ["redis", "rediss", "postgres", "postgresql"].contains(&scheme) {
        let kind = if scheme.starts_with("redis") { "redis" } else { "sql" };
        let help =
            format!("name a plan with this as its target and endpoints of `kind: {kind}`; see docs/load.md");
        return Err(Failure::new(format!("a GET cannot be sent to {scheme}://"), help).into());
    }
    let host = host.split('/').next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if scheme.is_empty() && has_port && !Path::new(what).exists() {
        let help = format!("a URL begins with its scheme: http://{what}");
        return Err(Failure::new(format!("there is no file {what}"), help).into());
    }
    Ok(())
}

fn insert_into(plan: &mut Map<String, Value>, object: &str, field: &str, value: Value) {
    if let Some(map) = plan.entry(object).or_insert_with(|| json!({})).as_object_mut() {
        map.insert(field.to_owned(), value);
    }
}

/// Files that a plan names lie beside it.
pub(crate) fn relative_files(plan: &mut Map<String, Value>, folder: &Path) {
    let join = |value: &mut Value| {
        if let Some(path) = value.as_str().filter(|path| Path::new(path).is_relative()) {
            *value = json!(folder.join(path));
        }
    };
    if let Some(tls) = plan.get_mut("tls").and_then(Value::as_object_mut) {
        ["roots", "cert", "key"]
            .iter()
            .filter_map(|field| tls.remove_entry(*field))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|(field, mut value)| {
                join(&mut value);
                tls.insert(field, value);
            });
    }
    for endpoint in plan.get_mut("endpoints").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(proto) = endpoint.get_mut("proto") {
            join(proto);
        }
    }
}

fn refused(error: &DocumentError) -> anyhow::Error {
    Failure::in_file(error, "docs/load.md shows what a plan holds").into()
}

fn print(output: &Output, load: &Ready, count: u64) -> anyhow::Result<()> {
    for number in 0..count {
        let (endpoint, tenant) = load.choose(number);
        let name = load.endpoints().nth(usize::from(endpoint)).map_or("", |(name, _)| name).to_owned();
        let tenant = load.tenants().get(usize::from(tenant)).cloned().unwrap_or_default();
        let request = String::from_utf8_lossy(&load.request(number)).into_owned();
        let wire = json!({"number": number, "endpoint": name, "tenant": tenant, "request": request});
        output.line(&wire, |out| write!(out, "# {number} {name} ({tenant})\n{request}"))?;
    }
    Ok(())
}

async fn drive(cx: &Context, load: Arc<Ready>) -> anyhow::Result<()> {
    let mut recorder = Recorder::new(&load);
    let mut progress = progress::Progress::new(cx.output.is_json(), load.profile().duration());
    let mut running = Running::start(&load).await.map_err(|error| {
        Failure::new(error.to_string(), "nothing of the load was sent: put that right first")
    })?;
    let mut signals = Signals::listen()?;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.tick().await;
    let mut asked_to_stop = false;
    loop {
        tokio::select! {
            batch = running.next() => {
                let Some(batch) = batch else { break };
                recorder.take(&batch);
                progress.take(&batch);
            }
            _ = second.tick() => progress.show(running.elapsed(), recorder.in_flight()),
            _ = signals.next() => {
                if asked_to_stop {
                    return Err(Failure::new("stopped", "what was under way is not counted").into());
                }
                asked_to_stop = true;
                running.stop();
            }
        }
    }
    progress.end();
    let ended = running
        .finish()
        .map_err(|error| Failure::new(error.to_string(), "is there room for descriptors?"))?;
    let (summary, _) = recorder.finish(&load, ended);
    cx.output.answer(&summary, |out| report::write(&cx.output, &summary, out))?;
    if summary.total.offered > 0 {
        return Ok(());
    }
    let message = if summary.stopped {
        "nothing was offered: the load was stopped before its first request".to_owned()
    } else {
        let lasted = crate::words::millis(load.profile().duration().as_millis() as f64);
        format!("nothing was offered: at its rate no request falls into the {lasted} of the load")
    };
    Err(Failure::new(message, "give it a longer time by --for, or a higher --rate").into())
}
