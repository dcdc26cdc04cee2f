//! `sabot run`: carry an experiment out, or a schedule of them, and say whether the system held.

mod chaostoolkit;
pub(crate) mod files;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sabot_client::Client;
use sabot_document::Document;
use sabot_runner::chaostoolkit::Experiment as ChaosExperiment;
use sabot_runner::experiment::Windows;
use sabot_runner::experiment::vars::Vars;
use sabot_runner::history::History;
use sabot_runner::judge::Verdict;
use sabot_runner::record::Record;
use sabot_runner::report;
use sabot_runner::report::{Committed, Outcome, regressions};
use sabot_runner::run::{Options, run};
use tokio::sync::watch;

use super::{Run as Command, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::runs;
use crate::state_dir::StateDir;
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
  sabot run schedule.yaml --results results.yaml --fail-on regressed
  sabot run --lab compose/experiments/payments-slow.yaml --variant naive --reports reports")]
pub(crate) struct Run {
    #[command(flatten)]
    api: Api,
    /// The file of an experiment or a schedule (YAML, JSON or TOML; see docs/experiments.md), or of an
    /// experiment of the Chaos Toolkit (see docs/chaostoolkit.md)
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
    /// Take the addresses of the lab that `sabot lab up` brought up, and its server
    #[arg(long)]
    lab: bool,
    /// Windows in place of the file's, as WARM_UP,BASELINE,FAULT,RECOVERY in seconds
    #[arg(long, value_name = "S,S,S,S", value_parser = windows)]
    windows: Option<[u64; 4]>,
    /// The seed of the load in place of the file's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Which verdicts make the exit code 1
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    fail_on: FailOn,
    /// The committed results that `--fail-on regressed` compares with
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Write what the runs came to into the file of --results
    #[arg(long, requires = "results")]
    update: bool,
    /// Write a report of each run as HTML into this directory, and its record as JSON
    #[arg(long, value_name = "DIR")]
    reports: Option<PathBuf>,
    /// Write the runs as Markdown for a pull request; `-` is stdout
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the runs as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    state: StateDir,
    #[command(flatten)]
    chaos: chaostoolkit::Chaos,
}

/// The exit code if an experiment could not be run.
pub(crate) const NOTHING_RUN: u8 = 2;

/// Which verdicts make the exit code 1.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// One that is not the expected one
    #[default]
    Unexpected,
    /// One that is worse than the committed one
    Regressed,
    /// One that is worse than degraded
    Failed,
    /// None
    Never,
}

impl Command for Run {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let document = files::document(&self.file)?;
        block_on(async {
            let lab = if self.lab { super::lab::addresses().await? } else { Vec::new() };
            let server = lab.iter().find(|(name, _)| name == "SABOT_URL").map(|(_, url)| url.clone());
            let client = cx.client_or(&self.api, server)?;
            let set = self.values(lab)?;
            if ChaosExperiment::is_one(&document) {
                self.no_option_of_sabots()?;
                let set: Vec<_> = set.into_iter().collect();
                return self.chaos.run(cx, &client, &document, &set).await;
            }
            self.chaos.unused()?;
            self.carry_out(cx, &client, self.planned(&document, set)?).await
        })
    }
}

impl Run {
    /// What was set: by `--set`, by `--env-file`, by the lab, in this order.
    fn values(&self, lab: Vec<(String, String)>) -> anyhow::Result<BTreeMap<String, String>> {
        let mut set: BTreeMap<String, String> = self.set.iter().cloned().collect();
        if let Some(file) = &self.env_file {
            for (name, value) in files::env_file(file)? {
                set.entry(name).or_insert(value);
            }
        }
        for (name, value) in lab {
            set.entry(name).or_insert(value);
        }
        Ok(set)
    }

    /// Refuses what an experiment of the Chaos Toolkit has not.
    fn no_option_of_sabots(&self) -> anyhow::Result<()> {
        let given = [
            ("--variant", self.variant.is_some()),
            ("--windows", self.windows.is_some()),
            ("--seed", self.seed.is_some()),
            ("--reports", self.reports.is_some()),
            ("--results", self.results.is_some()),
            ("--markdown", self.markdown.is_some()),
            ("--junit", self.junit.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => {
                let message = format!("{option} does not go with an experiment of the Chaos Toolkit");
                Err(Failure::new(message, "it has no variants, windows, load or record; see --journal")
                    .into())
            }
        }
    }

    fn planned(&self, document: &Document, set: BTreeMap<String, String>) -> anyhow::Result<Planned> {
        let mut planned = files::read(&self.file, document, self.variant.as_deref(), &Vars::new(set))?;
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
        // What would be in the way of keeping a run is to be known before anything is broken.
        let mut history = self.state.history()?;
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
            if !cx.output.is_json() {
                view.verdict(&record, &cx.output);
            }
            self.keep(cx, &mut history, &record)?;
            records.push(record);
            if interrupt.borrow().is_some() {
                break;
            }
        }
        self.write(cx, &records)?;
        if let Some(refused) = refused {
            return Err(refused.into());
        }
        if records.len() < count {
            let message = format!("{} of {count} runs were not carried out", count - records.len());
            return Err(Failure::new(message, "the run was interrupted; its faults are off").into());
        }
        self.judge(&records)
    }

    /// Remembers a run as soon as it has ended: the next may take long, or fail.
    fn keep(&self, cx: &Context, history: &mut History, record: &Record) -> anyhow::Result<()> {
        if let Some(directory) = &self.reports {
            let json = serde_json::to_string_pretty(record)? + "\n";
            let told = |error: std::io::Error| {
                Failure::new(
                    format!("failed to make {}: {error}", directory.display()),
                    "name another by --reports",
                )
            };
            std::fs::create_dir_all(directory).map_err(told)?;
            runs::write("the record", &directory.join(format!("{}.json", record.id)), &json, &cx.output)?;
            let html = directory.join(format!("{}.html", record.id));
            runs::write("the report", &html, &report::html(record)?, &cx.output)?;
        }
        Ok(history.append(record)?)
    }

    /// What is written of all runs together.
    fn write(&self, cx: &Context, records: &[Record]) -> anyhow::Result<()> {
        if let Some(path) = &self.markdown {
            let pages: Vec<String> = records.iter().map(report::markdown).collect();
            runs::write("the report", path, &pages.join("\n"), &cx.output)?;
        }
        if let Some(path) = &self.junit {
            runs::write("JUnit XML", path, &report::junit(records)?, &cx.output)?;
        }
        if cx.output.is_json() {
            cx.output.answer(&records, |_| Ok(()))?;
        }
        Ok(())
    }

    /// The exit code, as an error that says which runs make it so.
    fn judge(&self, records: &[Record]) -> anyhow::Result<()> {
        let bad: Vec<String> = match self.fail_on {
            FailOn::Regressed => self.regressed(records)?,
            FailOn::Unexpected => records.iter().filter(|record| !record.as_expected()).map(told).collect(),
            FailOn::Failed => {
                let worse =
                    |record: &&Record| record.judgement.verdict.badness() >= Verdict::Failed.badness();
                records.iter().filter(worse).map(told).collect()
            }
            FailOn::Never => Vec::new(),
        };
        if self.update
            && let Some(file) = &self.results
        {
            let mut committed = if file.exists() { Committed::read(file)? } else { Committed::default() };
            committed.update(records);
            committed.write(file)?;
            return Ok(());
        }
        if bad.is_empty() {
            return Ok(());
        }
        Err(Failure::new(bad.join("; "), "`sabot run --help` says when the exit code is 0").into())
    }

    /// What fell behind the committed results; all else that changed is told.
    fn regressed(&self, records: &[Record]) -> anyhow::Result<Vec<String>> {
        let help = "name the committed results by --results; `--update` writes them";
        let file = self
            .results
            .as_ref()
            .ok_or_else(|| Failure::new("--fail-on regressed has nothing to compare", help))?;
        if self.update && !file.exists() {
            return Ok(Vec::new());
        }
        let committed = Committed::read(file).map_err(|error| Failure::new(error.to_string(), help))?;
        let changes = regressions(records, &committed);
        let (bad, other): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.outcome == Outcome::Regressed);
        for change in other {
            view::note(&change.told);
        }
        Ok(bad.into_iter().map(|change| change.told).collect())
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
        if self.lab {
            command.push_str(" --lab");
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
