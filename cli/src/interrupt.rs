//! Ctrl-C and SIGTERM, as what is under way gets to know of them.

use sabot_runner::run::Interrupt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Says why to end, once one of them came; whoever watches takes the faults back first.
pub(crate) fn listen() -> anyhow::Result<Interrupt> {
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
