use clap::Args;
use sabot_lab::up as lab;
use serde_json::json;

use super::{Place, Run};
use crate::context::Context;
use crate::failure::Failure;

/// End the lab and remove what it wrote
#[derive(Args)]
pub(super) struct Down {
    #[command(flatten)]
    place: Place,
}

impl Run for Down {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let directory = self.place.directory();
        let was_up = lab::down(&directory).map_err(Failure::from)?;
        cx.output.answer(&json!({"directory": directory, "was_up": was_up}), |out| {
            let what = if was_up { "the lab is down" } else { "no lab was up" };
            writeln!(out, "{what} in {}", directory.display())
        })
    }
}
