//! What `baseline` and `ramp` measure: the load of an experiment, the plan of a load, or a URL.

use std::path::Path;

use clap::Args;
use sabot_document::{Document, DocumentError};
use sabot_runner::experiment::Experiment;
use sabot_runner::experiment::vars::Vars;
use sabot_runner::load::Plan;
use sabot_runner::slo::Slo;
use sabot_toxics::Invalid;
use serde_json::{Map, Value, json};

use crate::commands::load::{check_url, relative_files};
use crate::commands::{block_on, lab};
use crate::failure::Failure;
use crate::values::Values;

/// What is measured, and with which values.
#[derive(Args)]
pub(crate) struct Subject {
    /// The file of an experiment or of a load's plan (YAML, JSON or TOML), or a URL
    #[arg(value_name = "FILE|URL")]
    what: String,
    /// Measure this variant of the experiment
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    #[command(flatten)]
    values: Values,
    /// Take the addresses of the lab that `sabot lab up` brought up
    #[arg(long)]
    lab: bool,
    /// The seed of the load in place of the file's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Connections to each target at most, in place of the file's [default: 100]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: Option<u32>,
    /// An objective, such as 'GET /orders p99 < 250ms', in place of the file's; may be given again
    #[arg(long = "slo", value_name = "SLO", value_parser = objective)]
    slos: Vec<Slo>,
}

impl Subject {
    /// What was named, as an experiment without faults; `rate` stands before the file's.
    pub(crate) fn experiment(&self, rate: Option<&str>) -> anyhow::Result<Experiment> {
        check_url(&self.what)?;
        let mut experiment = if self.what.contains("://") {
            let mut plan = Map::from_iter([("target".to_owned(), json!(self.what))]);
            lay_over(&mut plan, rate.or(Some(RATE)));
            let told = |error: Invalid| Failure::new(error.to_string(), "write http://localhost:8080");
            Experiment::of_load(&self.what, Plan::read(Value::Object(plan)).map_err(told)?)
        } else {
            self.of_file(rate)?
        };
        if let Some(load) = &mut experiment.load {
            load.seed = self.seed.unwrap_or(load.seed);
            load.connections = self.connections.unwrap_or(load.connections);
        }
        experiment.faults.clear();
        if !self.slos.is_empty() {
            let told = |error: Invalid| {
                Failure::new(format!("--{error}"), "docs/slos.md says how objectives are written")
            };
            experiment.ask(self.slos.clone()).map_err(told)?;
        }
        Ok(experiment)
    }

    fn of_file(&self, rate: Option<&str>) -> anyhow::Result<Experiment> {
        let file = Path::new(&self.what);
        let refused = |error: &DocumentError| {
            Failure::in_file(
                error,
                "nothing was sent; docs/experiments.md and docs/load.md show what files hold",
            )
        };
        let document = Document::read(file).map_err(|error| refused(&error))?;
        let value = document.to_value();
        if value.get("runs").is_some() {
            let help = "name one of its experiments";
            return Err(Failure::new(format!("{} is a schedule", self.what), help).into());
        }
        if value.get("load").is_none() && value.get("hypothesis").is_none() {
            return self.of_plan(&document, value, rate);
        }
        let vars = Vars::new(self.values.read(self.of_lab()?)?);
        let mut experiment = Experiment::read(&document, &vars).map_err(|error| refused(&error))?;
        if let Some(name) = &self.variant {
            let told = |message| Failure::new(format!("{}: {message}", self.what), "see its `variants`");
            experiment = experiment.variant(name).map_err(told)?;
        }
        if let (Some(rate), Some(load)) = (rate, &mut experiment.load) {
            let told = |error| Failure::new(error, "write --rate 300/s");
            load.rate = sabot_runner::load::plan::Rate::Constant(rate.parse().map_err(told)?);
        }
        Ok(experiment)
    }

    fn of_lab(&self) -> anyhow::Result<Vec<(String, String)>> {
        if !self.lab {
            return Ok(Vec::new());
        }
        block_on(lab::addresses())
    }

    fn of_plan(&self, document: &Document, value: Value, rate: Option<&str>) -> anyhow::Result<Experiment> {
        if self.variant.is_some() || self.values.are_given() || self.lab {
            let message = format!("{} is the plan of a load: it has no variants and no ${{NAME}}", self.what);
            return Err(Failure::new(message, "name an experiment, which has `title` and `load`").into());
        }
        let told = |error: Invalid| {
            let help = "nothing was sent; docs/load.md shows what a plan holds";
            Failure::in_file(&document.refuse(&error.field, error.message), help)
        };
        let Value::Object(mut plan) = value else {
            let error = Invalid::new("", "must be an object: an experiment, or the plan of a load");
            return Err(told(error).into());
        };
        relative_files(&mut plan, Path::new(&self.what).parent().unwrap_or(Path::new("")));
        // How long it is sent is said by who measures.
        plan.remove("duration");
        lay_over(&mut plan, rate);
        Ok(Experiment::of_load(&self.what, Plan::read(Value::Object(plan)).map_err(told)?))
    }
}

/// What a URL is sent if nobody says how much.
const RATE: &str = "50/s";

fn lay_over(plan: &mut Map<String, Value>, rate: Option<&str>) {
    if let Some(rate) = rate {
        plan.insert("rate".to_owned(), json!(rate));
    }
}

fn objective(text: &str) -> Result<Slo, String> {
    text.parse::<Slo>().map_err(|error| error.to_string())
}
