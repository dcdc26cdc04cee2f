use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use clap::{ArgAction, Args};
use sabot_lab::up::{Lab, LabState, Stop, UpOptions};
use sabot_lab::{LabError, Mitigations};
use serde_json::{Value, json};

use super::{Place, Run, block_on};
use crate::context::Context;
use crate::failure::Failure;
use crate::table::Tone;

/// Bring the lab up and watch it until Ctrl-C
#[derive(Args)]
#[command(after_help = "\
Everything listens on 127.0.0.1. Without the mitigations the services are naive: one slow dependency takes \
everything down. `sabot lab mitigations on` protects them while they run.

  sabot lab up --detach
  eval \"$(sabot lab env --export)\"
  sabot toxic add -t latency -a latency=200ms payments
  sabot lab mitigations on
  sabot lab down")]
pub(super) struct Up {
    #[command(flatten)]
    place: Place,
    /// Keep orders in PostgreSQL (a primary and a streaming replica) with Redis in front, from the system's packages
    #[arg(long)]
    real: bool,
    /// Return as soon as the lab is ready; `sabot lab down` ends it
    #[arg(short, long)]
    detach: bool,
    /// Port of the shop, that is of the proxy in front of api [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    api_port: u16,
    /// Port of Sabot's API [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    sabot_port: u16,
    /// Whether the services begin with all mitigations, or naive
    #[arg(long, value_name = "ON|OFF", default_value = "off", value_parser = on_or_off, action = ArgAction::Set)]
    mitigations: bool,
    /// For the draws of the proxies and the services
    #[arg(long, env = "SABOT_SEED", default_value_t = 1)]
    seed: u64,
    /// Tenants that have orders from the beginning: t1, t2 and so on
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    tenants: u32,
    /// Orders of each: t1-1, t1-2 and so on
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=5000))]
    orders_per_tenant: u32,
    /// The lab that --detach leaves running
    #[arg(long, hide = true)]
    detached: bool,
}

pub(super) fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

impl Run for Up {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        if self.detach {
            return self.detach(cx);
        }
        // On the main thread: the processes end with the thread that started them.
        block_on(self.supervise(cx))
    }
}

impl Up {
    async fn supervise(self, cx: &Context) -> anyhow::Result<()> {
        let mut stop = Stop::new().map_err(Failure::from)?;
        let detached = self.detached;
        let mut lab = match Lab::new(self.options()?) {
            Ok(lab) => lab,
            Err(error) => return Err(told(error, detached)?),
        };
        let mut outcome = tokio::select! {
            up = lab.bring_up() => up.map(|state| Some(state.clone())),
            () = stop.asked() => Ok(None),
        };
        if let Ok(Some(state)) = &outcome {
            // The reader of a pipe may have gone; the lab is up nevertheless.
            let _ = announce(cx, state, detached);
            let report = |process: &str, end: &str| tell(&format!("{process} {end}"));
            outcome = lab.watch(&mut stop, report).await.map(|()| None);
        }
        lab.take_down().await;
        match outcome {
            Ok(_) => Ok(()),
            Err(error) => Err(told(error, detached)?),
        }
    }

    fn options(&self) -> anyhow::Result<UpOptions> {
        Ok(UpOptions {
            program: std::env::current_exe()?,
            directory: self.place.directory(),
            api_port: self.api_port,
            sabot_port: self.sabot_port,
            mitigations: if self.mitigations { Mitigations::ALL } else { Mitigations::NONE },
            seed: self.seed,
            tenants: self.tenants,
            orders_per_tenant: self.orders_per_tenant,
            real: self.real,
        })
    }

    /// Starts a supervisor of its own, and waits for its word.
    fn detach(self, cx: &Context) -> anyhow::Result<()> {
        let directory = self.place.directory();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["lab", "up", "--detached", "--state-dir"])
            .arg(&directory)
            .arg(format!("--api-port={}", self.api_port))
            .arg(format!("--sabot-port={}", self.sabot_port))
            .arg(format!("--mitigations={}", if self.mitigations { "on" } else { "off" }))
            .arg(format!("--seed={}", self.seed))
            .arg(format!("--tenants={}", self.tenants))
            .arg(format!("--orders-per-tenant={}", self.orders_per_tenant))
            .args(self.real.then_some("--real"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C in this terminal is not meant for it.
            .process_group(0)
            .spawn()?;
        let mut word = String::new();
        if let Some(stdout) = child.stdout.take() {
            // It ends with the child at the latest, and the child's start is limited.
            BufReader::new(stdout).read_line(&mut word)?;
        }
        let word: Value = serde_json::from_str(&word).unwrap_or_default();
        if let Some(error) = word.get("error").and_then(Value::as_str) {
            let help = word.get("help").and_then(Value::as_str);
            return Err(
                Failure::new(error, help.unwrap_or("`sabot lab up` without --detach shows more")).into()
            );
        }
        let state: LabState = serde_json::from_value(word).map_err(|_| {
            let message = "the supervisor ended before the lab was ready";
            Failure::new(message, "`sabot lab up` without --detach shows why")
        })?;
        announce(cx, &state, false)
    }
}

/// What went wrong, as an error; whoever started a detached supervisor waits for its word.
fn told(error: LabError, detached: bool) -> anyhow::Result<anyhow::Error> {
    let message = error.to_string();
    let failure = Failure::from(error);
    if detached {
        println(&json!({"error": message, "help": failure.help()}).to_string())?;
    }
    Ok(failure.into())
}

fn announce(cx: &Context, state: &LabState, detached: bool) -> anyhow::Result<()> {
    if detached {
        return println(&serde_json::to_string(state)?);
    }
    cx.output.answer(state, |out| {
        let mut table = cx.output.table(&["NAME", "THROUGH SABOT", "BY ITSELF", "CONTROL"]);
        for service in &state.services {
            let link = state.links.iter().find(|link| link.name == service.name);
            let through = link.map(|link| format!("http://{}", link.listen)).unwrap_or_default();
            table.row([
                (service.name.clone(), Tone::Strong),
                (through, Tone::Plain),
                (service.address.clone(), Tone::Dim),
                (service.control.clone(), Tone::Plain),
            ]);
        }
        for link in state.links.iter().filter(|link| link.protocol != "http") {
            let through = format!("{} ({})", link.listen, link.protocol);
            let empty = || (String::new(), Tone::Plain);
            table.row([(link.name.clone(), Tone::Strong), (through, Tone::Plain), empty(), empty()]);
        }
        table.write(out)?;
        writeln!(out, "\nthe shop   {}", state.api)?;
        writeln!(out, "Sabot      {}", state.sabot)?;
        writeln!(out, "directory  {}", state.directory.display())
    })
}

fn println(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn tell(line: &str) {
    // Nothing is left to do should stderr be gone.
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}
