use clap::Args;
use sabot_proxy::Authority;
use serde_json::json;

use super::{Place, Run};
use crate::context::Context;
use crate::failure::Failure;

/// Make Sabot's CA, unless it is there already
#[derive(Args)]
pub(crate) struct Init {
    #[command(flatten)]
    place: Place,
    /// Make a new one in place of that which is there; what trusts the old one must be told
    #[arg(long)]
    force: bool,
}

impl Run for Init {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let directory = self.place.directory()?;
        let made = if self.force {
            Authority::replace(&directory).map(|_| true)
        } else {
            Authority::open(&directory).map(|(_, made)| made)
        };
        let refused = |error: sabot_proxy::CaError| {
            Failure::new(error.to_string(), "name another directory with --ca-dir")
        };
        let made = made.map_err(refused)?;
        let file = Authority::certificate_file(&directory);
        cx.output.answer(&json!({"certificate": file, "made": made}), |out| {
            let what = if made { "made" } else { "there already:" };
            writeln!(out, "{what} {}", file.display())?;
            writeln!(out, "`sabot ca trust-help` says how to trust it")
        })
    }
}
