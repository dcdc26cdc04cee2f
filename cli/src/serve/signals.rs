//! What the operator asks for.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

/// An order.
pub(super) enum Ask {
    Reload,
    /// By the signal of that name.
    Stop(&'static str),
}

impl Signals {
    /// From now on the signals are orders and no sudden end.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next order. Cancel safe.
    pub(super) async fn next(&mut self) -> Ask {
        tokio::select! {
            _ = self.hangup.recv() => Ask::Reload,
            _ = self.interrupt.recv() => Ask::Stop("SIGINT"),
            _ = self.terminate.recv() => Ask::Stop("SIGTERM"),
        }
    }

    /// The next order to stop. Cancel safe.
    pub(super) async fn stop(&mut self) {
        while let Ask::Reload = self.next().await {}
    }
}
