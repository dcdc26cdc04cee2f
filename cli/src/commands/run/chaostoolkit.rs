//! `sabot run` with an experiment of the Chaos Toolkit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use sabot_client::Client;
use sabot_document::Document;
use sabot_runner::chaostoolkit::{
    Dry, Experiment, HypothesisStrategy, Journal, RollbackStrategy, Settings, Status, run,
};

use crate::context::Context;
use crate::failure::Failure;
use crate::interrupt;

/// What is chosen for such a run; names and values are those of `chaos run`.
#[derive(Args)]
#[command(next_help_heading = "Experiments of the Chaos Toolkit")]
pub(super) struct Chaos {
    /// Write its journal here, as `chaos run` does
    #[arg(long, value_name = "FILE", visible_alias = "journal-path")]
    journal: Option<PathBuf>,
    /// When its hypothesis is looked at [default: default, before the method and after it]
    #[arg(long, value_name = "WHEN", value_parser = hypothesis_strategy())]
    hypothesis_strategy: Option<HypothesisStrategy>,
    /// The pause between two looks while the method runs, in seconds [default: 1]
    #[arg(long, value_name = "SECONDS", value_parser = not_negative)]
    hypothesis_frequency: Option<f64>,
    /// End the method when a look while it runs is not met
    #[arg(long)]
    fail_fast: bool,
    /// From which share of such looks on, in percent [default: 0]
    #[arg(long, value_name = "PERCENT", value_parser = not_negative, requires = "fail_fast")]
    fail_fast_ratio: Option<f64>,
    /// When its rollbacks are played [default: default, whenever the method began]
    #[arg(long, value_name = "WHEN", value_parser = rollback_strategy())]
    rollback_strategy: Option<RollbackStrategy>,
    /// Tell these instead of doing them
    #[arg(long, value_name = "WHAT", value_parser = dry())]
    dry: Option<Dry>,
}

impl Chaos {
    /// Refuses options that another experiment would not heed.
    pub(super) fn unused(&self) -> anyhow::Result<()> {
        let given = [
            ("--journal", self.journal.is_some()),
            ("--hypothesis-strategy", self.hypothesis_strategy.is_some()),
            ("--hypothesis-frequency", self.hypothesis_frequency.is_some()),
            ("--fail-fast", self.fail_fast),
            ("--rollback-strategy", self.rollback_strategy.is_some()),
            ("--dry", self.dry.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => {
                let message = format!("{option} goes with experiments of the Chaos Toolkit only");
                let help = "docs/chaostoolkit.md shows what such a file holds";
                Err(Failure::new(message, help).with_code(super::NOTHING_RUN).into())
            }
        }
    }

    pub(super) async fn run(
        &self,
        cx: &Context,
        client: &Client,
        document: &Document,
        set: &[(String, String)],
    ) -> anyhow::Result<()> {
        let experiment = Experiment::read(document, set).map_err(|error| {
            Failure::in_file(&error, "nothing was run; docs/chaostoolkit.md says what of the format is taken")
        })?;
        let quiet = cx.output.is_json();
        let tell = move |line: &str| {
            if !quiet {
                super::view::write(&format!("  {line}\n"));
            }
        };
        if !quiet {
            super::view::write(&format!("{}\n", experiment.title()));
        }
        for warning in experiment.warnings() {
            tell(&format!("warning: {warning}"));
        }
        let settings = Settings {
            hypothesis: self.hypothesis_strategy.unwrap_or(HypothesisStrategy::Default),
            rollbacks: self.rollback_strategy.unwrap_or(RollbackStrategy::Default),
            frequency: Duration::try_from_secs_f64(self.hypothesis_frequency.unwrap_or(1.0))?,
            fail_fast: self.fail_fast.then(|| self.fail_fast_ratio.unwrap_or(0.0)),
            dry: self.dry,
            toxiproxy_url: client.url().to_owned(),
            toxiproxy_token: client.token(),
            interrupt: interrupt::listen()?,
            said: Arc::new(tell),
        };
        let journal = run(&experiment, &settings).await;
        let ending = if journal.deviated { "deviated" } else { journal.status.map_or("", Status::name) };
        (settings.said)(ending);
        if let Some(file) = &self.journal {
            write(file, &journal)?;
        }
        if quiet {
            cx.output.answer(&journal, |_| Ok(()))?;
        }
        judge(&journal)
    }
}

/// The exit code, as an error that says what makes it so.
fn judge(journal: &Journal) -> anyhow::Result<()> {
    if journal.is_good() {
        return Ok(());
    }
    let status = journal.status.map_or("without a status", Status::name);
    let gate = journal.steady_states.before.as_ref().and_then(|state| state.steady_state_met);
    let message = match (gate, journal.deviated) {
        (Some(false), _) => {
            format!("{status}: the hypothesis was not met before the method, which was not run")
        }
        (_, true) => {
            format!("{status}: the experiment deviated, its hypothesis was not met after the method")
        }
        _ => status.to_owned(),
    };
    Err(Failure::new(message, "`--journal FILE` keeps what each activity gave").into())
}

fn write(file: &Path, journal: &Journal) -> anyhow::Result<()> {
    let told = |error: std::io::Error| {
        Failure::new(format!("failed to write {}: {error}", file.display()), "name a file by --journal")
    };
    std::fs::write(file, serde_json::to_vec_pretty(journal)?).map_err(told)?;
    Ok(())
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| (0.0..=1e6).contains(number));
    number.ok_or_else(|| "write a number from 0 on".to_owned())
}

fn hypothesis_strategy() -> impl TypedValueParser<Value = HypothesisStrategy> {
    PossibleValuesParser::new(HypothesisStrategy::NAMES).try_map(|name| name.parse())
}

fn rollback_strategy() -> impl TypedValueParser<Value = RollbackStrategy> {
    PossibleValuesParser::new(RollbackStrategy::NAMES).try_map(|name| name.parse())
}

fn dry() -> impl TypedValueParser<Value = Dry> {
    PossibleValuesParser::new(Dry::NAMES).try_map(|name| name.parse())
}
