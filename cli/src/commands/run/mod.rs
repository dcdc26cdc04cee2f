//! `sabot run`: carry an experiment out, or a schedule of them, and say whether the system held.

pub(crate) mod files;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sabot_client::Client;
use sabot_runner::experiment::Windows;
use sabot_runner::experiment::vars::Vars;
use sabot_runner::judge::Verdict;
use sabot_runner::record::Record;
use sabot_runner::run::{Options, run};
use tokio::sync::watch;

use super::{Run as Command, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use files::Planned;
use view::View;

/// Carry out an experiment, or a schedule of them: load, fault, revert, verdict
#[derive(Args)]
#[command(after_help = "\
The faults are taken back whatever happens: at the end of their window, at a stop condition, at Ctrl-C; and by the \
server itself should this program die.\n\n\
The exit code is 0 if every verdict is the expected one (`held` unless the experiment says otherwise), 1 if not, 2 if \
one could not be run.\n\n\
  sabot run payments-slow.yaml\n  \
  sabot run payments-slow.yaml --variant naive --set LAB_API=http://localhost:8080\n  \
  sabot run schedule.yaml --results results.yaml --fail-on regressed")]
pub(crate) struct Run {
    #[command(flatten)]
    api: Api,
    /// The file of an experiment or a schedule (YAML, JSON or TOML; see docs/experiments.md)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Run this variant of the experiment
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Fill in ${NAME} in the file; the environment fills in what is not set
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Take more values from a file of NAME=VALUE lines, such as `sabot lab env` prints
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Windows in place of the file's, as WARM_UP,BASELINE,FAULT,RECOVERY in seconds
    #[arg(long, value_name = "S,S,S,S", value_parser = windows)]
    windows: Option<[u64; 4]>,
    /// The seed of the load in place of the file's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Which verdicts make the exit code 1
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    fail_on: FailOn,
    /// Write each record as JSON into this directory
    #[arg(long, value_name = "DIR")]
    records: Option<PathBuf>,
}

/// The exit code if an experiment could not be run.
pub(crate) const NOTHING_RUN: u8 = 2;

/// Which verdicts make the exit code 1.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// One that is not the expected one
    #[default]
    Unexpected,
    /// One that is worse than degraded
    Failed,
    /// None
    Never,
}

impl Command for Run {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        let planned = self.planned()?;
        block_on(self.carry_out(cx, &client, planned))
    }
}

impl Run {
    fn planned(&self) -> anyhow::Result<Planned> {
        let mut set: BTreeMap<String, String> = self.set.iter().cloned().collect();
        if let Some(file) = &self.env_file {
            for (name, value) in files::env_file(file)? {
                set.entry(name).or_insert(value);
            }
        }
        let mut planned = files::read(&self.file, self.variant.as_deref(), &Vars::new(set))?;
        for planned in &mut planned.runs {
            if let Some(seconds) = self.windows {
                let set = planned.experiment.set_windows(Windows::of_seconds(seconds));
                set.map_err(|error| {
                    let help = "write four numbers of seconds, such as 2,10,20,20";
                    Failure::new(format!("--windows: {error}"), help).with_code(NOTHING_RUN)
                })?;
            }
            if let (Some(seed), Some(load)) = (self.seed, &mut planned.experiment.load) {
                load.seed = seed;
            }
        }
        Ok(planned)
    }

    async fn carry_out(&self, cx: &Context, client: &Client, planned: Planned) -> anyhow::Result<()> {
        let interrupt = interrupts()?;
        let mut records: Vec<Record> = Vec::new();
        let mut refused = None;
        let count = planned.runs.len();
        for (at, one) in planned.runs.iter().enumerate() {
            if at > 0 && !cool_down(planned.cool_down, &interrupt).await {
                break;
            }
            let mut view = View::new(cx.output.is_json(), (at + 1, count), one);
            let options = Options {
                client: client.clone(),
                variant: one.variant.clone(),
                command: self.command(one),
                interrupt: interrupt.clone(),
            };
            let record = match run(&one.experiment, &options, &mut view).await {
                Ok(record) => record,
                Err(error) => {
                    let help = "nothing was broken; see docs/experiments.md";
                    refused = Some(Failure::new(error.to_string(), help).with_code(NOTHING_RUN));
                    break;
                }
            };
            view.verdict(&record);
            if let Some(directory) = &self.records {
                files::write(directory, &record)?;
            }
            records.push(record);
            if interrupt.borrow().is_some() {
                break;
            }
        }
        if cx.output.is_json() {
            cx.output.answer(&records, |_| Ok(()))?;
        }
        if let Some(refused) = refused {
            return Err(refused.into());
        }
        self.judge(&records, count)
    }

    /// The exit code, as an error that says which runs make it so.
    fn judge(&self, records: &[Record], planned: usize) -> anyhow::Result<()> {
        let bad = |record: &&Record| match self.fail_on {
            FailOn::Unexpected => !record.as_expected(),
            FailOn::Failed => record.judgement.verdict.badness() >= Verdict::Failed.badness(),
            FailOn::Never => false,
        };
        let bad: Vec<String> = records.iter().filter(bad).map(told).collect();
        if records.len() < planned {
            let message = format!("{} of {planned} runs were not carried out", planned - records.len());
            return Err(Failure::new(message, "the run was interrupted; its faults are off").into());
        }
        if bad.is_empty() {
            return Ok(());
        }
        Err(Failure::new(bad.join("; "), "`sabot run --help` says when the exit code is 0").into())
    }

    /// What runs this again: the file, the variant and the seed.
    fn command(&self, planned: &files::OneRun) -> String {
        let mut command = format!("sabot run {}", quoted(&planned.file.display().to_string()));
        if let Some(variant) = &planned.variant {
            command.push_str(&format!(" --variant {}", quoted(variant)));
        }
        if let Some(file) = &self.env_file {
            command.push_str(&format!(" --env-file {}", quoted(&file.display().to_string())));
        }
        for (name, value) in &self.set {
            command.push_str(&format!(" --set {}", quoted(&format!("{name}={value}"))));
        }
        if let Some([a, b, c, d]) = self.windows {
            command.push_str(&format!(" --windows {a},{b},{c},{d}"));
        }
        if let Some(seed) = self.seed {
            command.push_str(&format!(" --seed {seed}"));
        }
        command
    }
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn told(record: &Record) -> String {
    let variant = record.variant.as_ref().map(|variant| format!(" ({variant})")).unwrap_or_default();
    let expected = record.expect.unwrap_or(Verdict::Held).name();
    format!("{}{variant}: {}, expected {expected}", record.title, record.judgement.verdict.name())
}

/// Ctrl-C and SIGTERM end the run, which takes the faults back first.
pub(crate) fn interrupts() -> anyhow::Result<watch::Receiver<Option<String>>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (out, interrupt) = watch::channel(None);
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        let what = tokio::select! {
            _ = int.recv() => "Ctrl-C",
            _ = term.recv() => "SIGTERM",
        };
        out.send_replace(Some(format!("Ended by {what}.")));
        out.closed().await;
    });
    Ok(interrupt)
}

/// Waits between runs; false if the wait was interrupted.
async fn cool_down(length: Duration, interrupt: &watch::Receiver<Option<String>>) -> bool {
    let mut interrupt = interrupt.clone();
    tokio::select! {
        () = tokio::time::sleep(length) => true,
        _ = interrupt.wait_for(Option::is_some) => false,
    }
}

pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn windows(text: &str) -> Result<[u64; 4], String> {
    let wrong = "write four numbers of seconds, such as 2,10,20,20";
    let numbers: Result<Vec<u64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    numbers.map_err(|_| wrong)?.try_into().map_err(|_| wrong.to_owned())
}
