//! `sabot run`: carry an experiment out, or a schedule of them, and say whether the system held.
//!
//! Map: `files` reads what is to be run, `view` shows it while it lasts, `outputs` is what is kept of
//! it, `gate` makes the exit code of it; `chaostoolkit` does all this for experiments of that kind.

mod chaostoolkit;
mod files;
mod gate;
mod outputs;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use sabot_client::Client;
use sabot_document::Document;
use sabot_runner::chaostoolkit::Experiment as ChaosExperiment;
use sabot_runner::experiment::Windows;
use sabot_runner::experiment::vars::Vars;
use sabot_runner::record::Record;
use sabot_runner::run::{Interrupt, Options, run};

use super::{Run as Command, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::interrupt;
use crate::values::Values;
use files::Planned;
use gate::Gate;
use outputs::Outputs;
use view::View;

/// Carry out an experiment, or a schedule of them: load, fault, revert, verdict
#[derive(Args)]
#[command(after_help = "\
The faults are taken back whatever happens: at the end of their window, at a stop condition, at Ctrl-C, when the \
terminal is closed; and by the server itself should this program die.

The exit code is 0 if every verdict is the expected one (`held` unless the experiment says otherwise), 1 if not, 2 if \
one could not be run.

  sabot run payments-slow.yaml
  sabot run payments-slow.yaml --variant naive --set LAB_API=http://localhost:8080
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
    #[command(flatten)]
    values: Values,
    /// Take the addresses of the lab that `sabot lab up` brought up, and its server
    #[arg(long)]
    lab: bool,
    /// Windows in place of the file's, as WARM_UP,BASELINE,FAULT,RECOVERY in seconds
    #[arg(long, value_name = "S,S,S,S", value_parser = windows)]
    windows: Option<[u64; 4]>,
    /// The seed of the load in place of the file's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    gate: Gate,
    #[command(flatten)]
    outputs: Outputs,
    #[command(flatten)]
    chaos: chaostoolkit::Chaos,
}

/// The exit code if an experiment could not be run.
pub(crate) const NOTHING_RUN: u8 = 2;

impl Command for Run {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let document = files::document(&self.file)?;
        block_on(async {
            let lab = if self.lab { super::lab::addresses().await? } else { Vec::new() };
            let server = lab.iter().find(|(name, _)| name == "SABOT_URL").map(|(_, url)| url.clone());
            let client = cx.client_or(&self.api, server)?;
            let set = self.values.read(lab)?;
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
    /// Refuses what an experiment of the Chaos Toolkit has not.
    fn no_option_of_sabots(&self) -> anyhow::Result<()> {
        let given = [
            ("--variant", self.variant.is_some()),
            ("--windows", self.windows.is_some()),
            ("--seed", self.seed.is_some()),
            ("--reports", self.outputs.reports.is_some()),
            ("--results", self.gate.results.is_some()),
            ("--markdown", self.outputs.markdown.is_some()),
            ("--junit", self.outputs.junit.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => {
                let message = format!("{option} does not go with an experiment of the Chaos Toolkit");
                let help = "it has no variants, windows, load or record; see --journal";
                Err(Failure::new(message, help).with_code(NOTHING_RUN).into())
            }
        }
    }

    fn planned(&self, document: &Arc<Document>, set: BTreeMap<String, String>) -> anyhow::Result<Planned> {
        let mut planned = files::read(&self.file, document, self.variant.as_deref(), &Vars::new(set))?;
        for planned in &mut planned.runs {
            if let Some(seconds) = self.windows {
                let set = planned.experiment.set_windows(Windows::of_seconds(seconds));
                set.map_err(|error| {
                    let help = "write four numbers of seconds, such as 2,10,20,20";
                    Failure::new(format!("--windows: {error}"), help).with_code(NOTHING_RUN)
                })?;
                planned.has_other_windows = true;
            }
            if let (Some(seed), Some(load)) = (self.seed, &mut planned.experiment.load) {
                load.seed = seed;
            }
        }
        Ok(planned)
    }

    async fn carry_out(&self, cx: &Context, client: &Client, planned: Planned) -> anyhow::Result<()> {
        // What would be in the way of keeping a run is to be known before anything is broken.
        let mut history = self.outputs.history()?;
        self.outputs.check()?;
        let committed = self.gate.committed()?;
        let mut unkept = None;
        let interrupt = interrupt::listen()?;
        let mut records: Vec<Record> = Vec::new();
        let mut refused = None;
        let count = planned.runs.len();
        for (at, one) in planned.runs.iter().enumerate() {
            if at > 0 && !cool_down(planned.cool_down, &interrupt).await {
                break;
            }
            let mut view = View::new(&cx.output, (at + 1, count), one);
            let options = Options {
                client: client.clone(),
                variant: one.variant.clone(),
                command: self.command(cx, one),
                interrupt: interrupt.clone(),
            };
            let record = match run(&one.experiment, &options, &mut view).await {
                Ok(record) => record,
                Err(error) => {
                    refused = Some(one.refused(&error));
                    break;
                }
            };
            if !cx.output.is_json() {
                view.verdict(&record, &cx.output);
            }
            // What cannot be written keeps no other run from taking place, and no other file from its own.
            let kept = self.outputs.keep(cx, &mut history, &record);
            unkept = unkept.or(kept.err());
            records.push(record);
            if interrupt.borrow().is_some() {
                break;
            }
        }
        let failures = self.gate.failures(&records, committed.as_ref());
        let written = self.outputs.write(cx, &records, &failures);
        if let Some(refused) = refused {
            return Err(refused.into());
        }
        if records.len() < count {
            let message = format!("{} of {count} runs were not carried out", count - records.len());
            return Err(Failure::new(message, "the run was interrupted; its faults are off").into());
        }
        unkept.map_or(Ok(()), Err).and(written)?;
        self.gate.judge(&records, failures)
    }

    /// What runs this again: the file, the variant, and all that was said beside the file.
    fn command(&self, cx: &Context, planned: &files::OneRun) -> String {
        let mut command = format!("sabot run {}", quoted(&planned.file.display().to_string()));
        if let Some(variant) = &planned.variant {
            command.push_str(&format!(" --variant {}", quoted(variant)));
        }
        if let Some(file) = &self.values.env_file {
            command.push_str(&format!(" --env-file {}", quoted(&file.display().to_string())));
        }
        for (name, value) in &self.values.set {
            command.push_str(&format!(" --set {}", quoted(&format!("{name}={value}"))));
        }
        if self.lab {
            command.push_str(" --lab");
        }
        if planned.has_other_windows {
            let [a, b, c, d] = planned.experiment.windows.seconds();
            command.push_str(&format!(" --windows {a},{b},{c},{d}"));
        }
        if let Some(seed) = self.seed {
            command.push_str(&format!(" --seed {seed}"));
        }
        for (option, value) in cx.told(&self.api) {
            command.push_str(&format!(" {option}"));
            if let Some(value) = value {
                command.push_str(&format!(" {}", quoted(&value)));
            }
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

/// Waits between runs; false if the wait was interrupted.
async fn cool_down(length: Duration, interrupt: &Interrupt) -> bool {
    let mut interrupt = interrupt.clone();
    tokio::select! {
        () = tokio::time::sleep(length) => true,
        _ = interrupt.wait_for(Option::is_some) => false,
    }
}

fn windows(text: &str) -> Result<[u64; 4], String> {
    let wrong = "write four numbers of seconds, such as 2,10,20,20";
    let numbers: Result<Vec<u64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    numbers.map_err(|_| wrong)?.try_into().map_err(|_| wrong.to_owned())
}
