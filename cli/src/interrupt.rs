//! Ctrl-C, SIGTERM and SIGHUP, as what is under way gets to know of them.

use sabot_runner::run::Interrupt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Says why to end, once one of them came; whoever watches takes the faults back first.
pub(crate) fn listen() -> anyhow::Result<Interrupt> {
    let mut signals = Signals::listen()?;
    let (out, interrupt) = watch::channel(None);
    tokio::spawn(async move {
        let what = signals.next().await;
        out.send_replace(Some(format!("Ended by {what}.")));
        out.closed().await;
    });
    Ok(interrupt)
}

/// What asks a program to end. From [`Self::listen`] on, none of them ends it by itself.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal was closed, or the connection to it broke; none under `nohup`.
    hangup: Option<Signal>,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        // Whoever ignored it before this program began, as `nohup` does, wants it to go on.
        let hangup = (!is_hangup_ignored()).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        })
    }

    /// The name of the next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> &'static str {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
            _ = hangup => "SIGHUP",
        }
    }
}

/// As the kernel says it; where it does not say, the signal is not taken for ignored.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit 0 is signal 1.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
