use clap::Args;
use serde_json::json;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::table::Tone;
use crate::words;

/// List all schedules, each with its next time
#[derive(Args)]
#[command(visible_alias = "ls")]
pub(crate) struct List {
    #[command(flatten)]
    api: Api,
}

impl Run for List {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        block_on(async {
            let schedules = client.schedules().await.map_err(Failure::from)?;
            cx.output.answer(&json!({ "schedules": schedules }), |out| {
                if schedules.is_empty() {
                    return writeln!(out, "no schedules; `sabot schedule add --help` shows how to add one");
                }
                let mut table = cx.output.table(&["NAME", "WHEN", "NEXT", "FAULT", "SERVICE", "OWNER"]);
                for schedule in &schedules {
                    let injection = &schedule.injection;
                    table.row([
                        (schedule.name.clone(), Tone::Strong),
                        (schedule.when.clone(), Tone::Plain),
                        (schedule.next_at.clone().unwrap_or_else(|| "never".to_owned()), Tone::Plain),
                        (words::scalar(&injection["fault"]["type"]), Tone::Plain),
                        (words::scalar(&injection["target"]["service"]), Tone::Plain),
                        (words::scalar(&injection["owner"]), Tone::Plain),
                    ]);
                }
                table.write(out)
            })
        })
    }
}
