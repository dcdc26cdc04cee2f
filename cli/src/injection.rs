//! Injections: as options give them, and in words.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use clap::builder::PossibleValuesParser;
use owo_colors::OwoColorize;
use sabot_client::Injection;
use sabot_document::Document;
use sabot_injections::rules::read_moment;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::pairs::{self, Pair};
use crate::shape::Shape;
use crate::table::Tone;
use crate::{span, words};

/// The six parts of an injection, and what it may have besides. The server says why each has to be there.
#[derive(Args)]
pub(crate) struct Parts {
    /// All parts from a file in JSON, YAML or TOML; options that are given stand in for those of the file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What may break: the label `service` of proxies, or else the name of one
    #[arg(short, long, value_name = "NAME")]
    service: Option<String>,
    /// Which of them, by their labels, such as shard=south-1,env!=production
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// How many of those at most; drawn by the server's seed
    #[arg(short = 'm', long, alias = "max-pods", value_name = "N")]
    max_targets: Option<u32>,
    /// How it breaks
    #[arg(short = 't', long = "type", value_name = "KIND", value_parser = kinds())]
    kind: Option<String>,
    /// A parameter of the fault, such as p50_ms=200, an attribute of its kind, stream or toxicity; several times
    #[arg(short, long = "attribute", value_name = "KEY=VALUE", value_parser = pairs::parse)]
    attributes: Vec<Pair>,
    /// For how long, such as 4m
    #[arg(short, long, value_name = "SPAN", value_parser = span::positive)]
    duration: Option<Duration>,
    /// What has to stay true: an indicator of the server's configuration, or any name for the share of good requests
    /// through the targets
    #[arg(long, value_name = "NAME")]
    slo: Option<String>,
    /// It has to be at least this
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    min: Option<f64>,
    /// It has to be at most this
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    max: Option<f64>,
    /// For how long it may be broken before the fault is taken back
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    abort_after: Option<Duration>,
    /// What you expect to happen
    #[arg(long, value_name = "TEXT")]
    hypothesis: Option<String>,
    /// Whom to ask about it
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
    /// Wait when it cannot begin at once
    #[arg(long)]
    queue: bool,
    /// End it after so long without a renewal; --wait renews
    #[arg(long, value_name = "SPAN", value_parser = span::positive)]
    lease: Option<Duration>,
}

/// JSON has no other: it would be left out.
fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "expected a number, such as 0.995".to_owned())
}

fn kinds() -> PossibleValuesParser {
    sabot_toxics::kinds().iter().map(|kind| kind.name).collect::<Vec<_>>().into()
}

impl Parts {
    /// What was given, as the API takes it.
    pub(crate) fn read(self) -> anyhow::Result<Value> {
        let mut all = match &self.file {
            None => Map::new(),
            Some(file) => {
                let document = Document::read(file)
                    .map_err(|error| Failure::in_file(&error, "nothing was injected; correct the file"))?;
                match document.to_value() {
                    Value::Object(map) => map,
                    _ => {
                        let message = format!("{} holds no injection: an object is expected", file.display());
                        return Err(Failure::new(message, "`sabot inject --help` shows the parts").into());
                    }
                }
            }
        };
        let seconds = |span: Duration| json!(span.as_secs_f64());
        self.fault(&mut all);
        let target = [
            ("service", self.service.map(Value::from)),
            ("selector", self.selector.map(Value::from)),
            ("max_targets", self.max_targets.map(Value::from)),
        ];
        lay(&mut all, "target", target);
        let steady_state = [
            ("slo", self.slo.map(Value::from)),
            ("min", self.min.map(Value::from)),
            ("max", self.max.map(Value::from)),
            ("abort_after", self.abort_after.map(seconds)),
        ];
        lay(&mut all, "steady_state", steady_state);
        let rest = [
            ("duration_seconds", self.duration.map(seconds)),
            ("hypothesis", self.hypothesis.map(Value::from)),
            ("owner", self.owner.map(Value::from)),
            ("queue", self.queue.then(|| Value::from(true))),
            ("lease_seconds", self.lease.map(seconds)),
        ];
        let rest = rest.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        all.extend(rest);
        Ok(Value::Object(all))
    }

    /// A kind that is given has parameters of its own; without one they change those of the file.
    fn fault(&self, all: &mut Map<String, Value>) {
        let kind = self.kind.as_deref().or_else(|| all.get("fault")?["type"].as_str());
        let given = pairs::map(&self.attributes, kind.map_or(Shape::UNKNOWN, Shape::of_kind));
        if let Some(kind) = &self.kind {
            all.insert("fault".to_owned(), json!({ "type": kind }));
        }
        lay(all, "fault", given.iter().map(|(name, value)| (name.as_str(), Some(value.clone()))));
    }
}

/// Lays what is given over a part.
fn lay<'a>(
    all: &mut Map<String, Value>,
    part: &str,
    given: impl IntoIterator<Item = (&'a str, Option<Value>)>,
) {
    let given: Vec<_> =
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    if given.is_empty() {
        return;
    }
    if let Value::Object(part) = all.entry(part).or_insert_with(|| json!({})) {
        part.extend(given);
    }
}

/// The kind of fault that is asked for; empty if none is named.
pub(crate) fn kind(request: &Value) -> &str {
    request["fault"]["type"].as_str().unwrap_or_default()
}

/// `latency (p50_ms=200 p99_ms=500)`.
pub(crate) fn fault(injection: &Injection) -> String {
    let kind = injection.fault.get("type").map(words::scalar).unwrap_or_default();
    let params = injection.fault.iter().filter(|(name, _)| *name != "type");
    let params: Vec<_> = params.map(|(name, value)| format!("{name}={}", words::scalar(value))).collect();
    if params.is_empty() { kind } else { format!("{kind} ({})", params.join(" ")) }
}

/// `pay-1, pay-2`.
pub(crate) fn targets(injection: &Injection) -> String {
    const SHOWN: usize = 3;
    let shown = injection.targets.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match injection.targets.len() {
        0..=SHOWN => shown,
        more => format!("{shown} and {} more", more - SHOWN),
    }
}

/// How a state looks.
pub(crate) fn tone(state: &str) -> Tone {
    match state {
        "running" => Tone::Active,
        "completed" | "reverted" => Tone::Good,
        "aborted" | "failed" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// In how long it ends by itself, as far as the clocks of server and client agree.
pub(crate) fn ends_in(injection: &Injection) -> Option<Duration> {
    if injection.state != "running" {
        return None;
    }
    let ends_ms = injection.ends_at.as_deref().and_then(|at| read_moment("", at).ok())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(Duration::from_millis(ends_ms).saturating_sub(now))
}

/// What is amiss with what watches it, a line each.
pub(crate) fn warnings(injection: &Injection, out: &mut dyn Write) -> io::Result<()> {
    injection.warnings.iter().try_for_each(|it| writeln!(out, "{}", warning(it)))
}

pub(crate) fn warning(text: &str) -> String {
    format!("{} {text}", "warning:".yellow().bold())
}

/// What it is at now, in a sentence.
pub(crate) fn sentence(injection: &Injection) -> String {
    let (what, on) = (fault(injection), targets(injection));
    let id = &injection.id;
    let reason = injection.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match injection.state.as_str() {
        "running" => {
            let left =
                ends_in(injection).map(|left| words::millis(left.as_millis() as f64)).unwrap_or_default();
            let of = match injection.matched {
                matched if matched > injection.targets.len() => format!(" (drawn from {matched})"),
                _ => String::new(),
            };
            format!("{id} is running: {what} on {on}{of}, ends in {left}")
        }
        "pending" => {
            let why = injection.needs_approval.as_deref().unwrap_or_default();
            format!("{id} is pending: {why}; a second person has to `sabot approve {id}`")
        }
        "approved" => format!("{id} waits for its turn: {what} on {on}"),
        state => format!("{id} is {state}{reason}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        parts: Parts,
    }

    fn read(args: &[&str]) -> Value {
        Line::parse_from([&["sabot"], args].concat()).parts.read().unwrap()
    }

    #[test]
    fn options_are_the_parts() {
        let args = "-s pay -l shard=south-1 -m 3 -t latency -a p50_ms=200 -a jitter=5ms -d 4m --slo writes --min \
            0.995 --abort-after 60s --owner o@example.com --lease 30s --queue";
        let args: Vec<_> = args.split(' ').filter(|part| !part.is_empty()).collect();
        let expected = json!({
            "target": {"service": "pay", "selector": "shard=south-1", "max_targets": 3},
            "fault": {"type": "latency", "p50_ms": 200, "jitter": "5ms"},
            "steady_state": {"slo": "writes", "min": 0.995, "abort_after": 60.0},
            "duration_seconds": 240.0, "owner": "o@example.com", "queue": true, "lease_seconds": 30.0,
        });
        assert_eq!(read(&args), expected);
        // What is missing the server says, with why it matters.
        assert_eq!(read(&[]), json!({}));
    }

    #[test]
    fn a_bound_that_is_no_number_is_refused() {
        for bound in ["nan", "inf", "99%", ""] {
            for option in ["--min", "--max"] {
                assert!(Line::try_parse_from(["sabot", option, bound]).is_err(), "{option} {bound}");
            }
        }
        assert_eq!(read(&["--min", "-5"])["steady_state"]["min"], -5.0);
    }

    #[test]
    fn options_stand_in_for_what_the_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("slow.yaml");
        let text = "target: {service: pay, max_targets: 3}\nfault: {type: latency, p50_ms: 200}\nowner: o\n";
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let changed = read(&["--file", file, "-m", "1", "-a", "p50_ms=50", "--owner", "p"]);
        let expected = json!({
            "target": {"service": "pay", "max_targets": 1},
            "fault": {"type": "latency", "p50_ms": 50}, "owner": "p",
        });
        assert_eq!(changed, expected);
        let other = read(&["--file", file, "-t", "refuse"]);
        assert_eq!(other["fault"], json!({"type": "refuse"}));
    }
}
