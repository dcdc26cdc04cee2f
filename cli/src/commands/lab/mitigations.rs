use clap::Args;
use sabot_lab::{Mitigation, up as lab};
use serde_json::{Map, Value};

use super::up::on_or_off;
use super::{Place, Run, block_on};
use crate::context::Context;
use crate::failure::Failure;
use crate::table::Tone;

/// Show what protects the services, or switch it on or off while they run
#[derive(Args)]
#[command(after_help = list())]
pub(super) struct Mitigations {
    /// Switch them on or off [default: only show them]
    #[arg(value_name = "ON|OFF", value_parser = on_or_off)]
    switch: Option<bool>,
    /// Which ones [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    place: Place,
}

fn list() -> String {
    let each = |it: &Mitigation| format!("\n  {:<17}{}", it.name(), it.summary());
    format!("The mitigations:{}", Mitigation::ALL.iter().map(each).collect::<String>())
}

impl Run for Mitigations {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let change = self.switch.map(|on| change(on, &self.names)).transpose()?;
        block_on(async {
            let directory = self.place.directory();
            let all = match &change {
                Some(change) => lab::change_mitigations(&directory, change).await,
                None => lab::mitigations(&directory).await,
            };
            let all = all.map_err(Failure::from)?;
            let services: Map<String, Value> = all.into_iter().collect();
            cx.output.answer(&services, |out| {
                let mut table = cx.output.table(&["NAME", "MITIGATIONS"]);
                for (name, on) in &services {
                    table.row([(name.clone(), Tone::Strong), (words(on), Tone::Plain)]);
                }
                table.write(out)
            })
        })
    }
}

/// Refused here, before any service is changed.
fn change(on: bool, names: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut change = Map::new();
    for name in names {
        if name != "all" {
            name.parse::<Mitigation>().map_err(|error| {
                Failure::new(error.to_string(), "`sabot lab mitigations --help` tells what each does")
            })?;
        }
        change.insert(name.clone(), Value::Bool(on));
    }
    if change.is_empty() {
        change.insert("all".to_owned(), Value::Bool(on));
    }
    Ok(change)
}

/// Those that are on, as a person says it.
pub(super) fn words(mitigations: &Value) -> String {
    let is_on = |it: &&Mitigation| mitigations.get(it.name()).and_then(Value::as_bool) == Some(true);
    let on: Vec<_> = Mitigation::ALL.iter().filter(is_on).map(|it| it.name()).collect();
    match on.len() {
        0 => "off".to_owned(),
        all if all == Mitigation::ALL.len() => "all on".to_owned(),
        _ => on.join(", "),
    }
}
