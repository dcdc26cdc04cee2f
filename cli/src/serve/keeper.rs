//! Writes the state after each change.

use std::sync::Arc;
use std::time::Duration;

use sabot_proxy::Controller;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::state::{Origin, Saved, StateDir};

/// Changes that come close together (a populate, a test's set-up) are one write;
/// what a crash can lose is not older than this.
const SETTLE: Duration = Duration::from_millis(100);

/// Watches a controller and keeps what it has.
pub(super) struct Keeper {
    config: watch::Sender<Option<Origin>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Keeper {
    pub(super) fn start(state: StateDir, controller: Controller, config: Option<Origin>) -> Self {
        let (config, configs) = watch::channel(config);
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(keep(Arc::new(state), controller, configs, stopping));
        Self { config, stop, task }
    }

    /// The config that counts from now on.
    pub(super) fn config_is(&self, config: Option<Origin>) {
        self.config.send_replace(config);
    }

    /// Keeps what there is now, and ends.
    pub(super) async fn finish(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the keeper of the state died");
        }
    }
}

async fn keep(
    state: Arc<StateDir>,
    controller: Controller,
    config: watch::Receiver<Option<Origin>>,
    mut stopping: watch::Receiver<bool>,
) {
    let now = || Saved::of(controller.list(), config.borrow().clone());
    let mut writing = Writing { state, kept: None, failing: false };
    loop {
        writing.keep(now()).await;
        let stop = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(SETTLE, stop).await.is_ok() {
            return writing.keep(now()).await;
        }
    }
}

struct Writing {
    state: Arc<StateDir>,
    kept: Option<Saved>,
    /// The last write failed: said once, not ten times a second.
    failing: bool,
}

impl Writing {
    /// Writes it if it differs from what is on disk.
    async fn keep(&mut self, now: Saved) {
        if self.kept.as_ref().is_some_and(|kept| kept.says_the_same(&now)) {
            return;
        }
        let state = Arc::clone(&self.state);
        let written = tokio::task::spawn_blocking(move || state.save(&now).map(|()| now)).await;
        let written = written.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        let file = self.state.file().display();
        match written {
            Ok(now) => {
                if self.failing {
                    tracing::info!(%file, "the state is kept again");
                }
                tracing::debug!(%file, proxies = now.len(), "state kept");
                (self.kept, self.failing) = (Some(now), false);
            }
            Err(error) => {
                if !self.failing {
                    tracing::error!(%file, %error, "failed to keep the state: a restart would lose the latest changes");
                }
                self.failing = true;
            }
        }
    }
}
