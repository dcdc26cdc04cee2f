use std::time::Duration;

use clap::Args;

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::words;

/// Check that every event is as it was written, and that none is missing
#[derive(Args)]
#[command(after_help = "\
Each event is hashed together with the hash of the one before. Note the last hash elsewhere: whoever changes all that \
follow, or cuts some off, cannot change that.")]
pub(crate) struct Verify {
    #[command(flatten)]
    api: Api,
}

/// As long as the server takes for any answer: some millions of events.
pub(super) const PATIENCE: Duration = Duration::from_secs(25);

impl Run for Verify {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?.with_timeout(PATIENCE);
        block_on(async {
            let found = client.verify_audit().await.map_err(Failure::from)?;
            if found.intact {
                return cx.output.answer(&found, |out| {
                    let count = words::count(found.events.unwrap_or(0), "event", "events");
                    let head = found.head.as_deref().unwrap_or_default();
                    writeln!(out, "intact: {count}, the last one {head}")?;
                    if found.in_memory == Some(true) {
                        writeln!(out, "kept in memory, and gone with the server: it has no --state-dir")?;
                    }
                    Ok(())
                });
            }
            if cx.output.is_json() {
                cx.output.answer(&found, |_| Ok(()))?;
            }
            let (seq, reason) = (found.broken_at.unwrap_or(0), found.reason.unwrap_or_default());
            let message = format!("the audit was changed or damaged at event {seq}: {reason}");
            let help = "keep the file as it is, and ask whoever may write in the state directory";
            Err(Failure::new(message, help).into())
        })
    }
}
