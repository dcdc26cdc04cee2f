//! Injections: the engine over the proxies, and those whom it tells.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sabot_injections::book::OnRestart;
use sabot_injections::engine::Engine;
use sabot_injections::event::{Actor, Event};
use sabot_injections::notify::{Format, Moment, Post, Webhook, notify};
use sabot_proxy::Controller;
use sabot_runner::fetch::{Fetch, fetch};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::Injections;

/// Where OpenTelemetry's programs look for a collector.
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How long the server waits at its end for webhooks that have not been told yet.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The engine, and the task that tells others.
pub(super) struct Injecting {
    pub(super) engine: Engine,
    telling: Telling,
}

/// It ends when all were told once the sender is gone.
struct Telling {
    enough: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Injecting {
    /// Starts it over proxies that are there.
    pub(super) async fn start(
        controller: Controller,
        config: &Injections,
        state_dir: Option<&Path>,
        on_restart: OnRestart,
    ) -> Self {
        let unstarted = Engine::open(controller, config.settings.clone(), state_dir, on_restart);
        // Before anything goes on, so that they are told of it.
        let telling = tell(&unstarted.engine, config);
        Self { engine: unstarted.start().await, telling }
    }

    /// Puts another configuration in force.
    pub(super) fn configure(&mut self, config: &Injections) {
        self.engine.configure(config.settings.clone());
        // The former one has its say of what has happened until now.
        self.telling = tell(&self.engine, config);
    }

    /// Notes what came of reading the config anew.
    pub(super) fn reloaded(&self, outcome: &str) {
        self.engine.note(&Actor::server(), Event::Reloaded { outcome: outcome.to_owned() });
    }

    /// Notes that the server stops; what is running stays in the journal, for the next start.
    pub(super) async fn stop(self) {
        let Telling { enough, mut task } = self.telling;
        drop(enough);
        // What is not told by then is not told.
        if tokio::time::timeout(LAST_WORDS, &mut task).await.is_err() {
            task.abort();
        }
        self.engine.stop().await;
    }
}

fn tell(engine: &Engine, config: &Injections) -> Telling {
    let mut webhooks = config.webhooks.clone();
    let collector = std::env::var(COLLECTOR).ok().filter(|url| !url.is_empty());
    webhooks.extend(collector.map(|url| Webhook {
        url: format!("{}/v1/traces", url.trim_end_matches('/')),
        format: Format::Otlp,
        on: vec![Moment::Aborted, Moment::Ended],
        headers: Default::default(),
    }));
    let (enough, told) = oneshot::channel();
    Telling { enough, task: tokio::spawn(notify(engine.clone(), webhooks, Arc::new(Http), told)) }
}

/// Posts over HTTP.
struct Http;

impl Post for Http {
    fn post<'a>(
        &'a self,
        webhook: &'a Webhook,
        body: &'a Value,
        limit: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move {
            let Webhook { url, headers, .. } = webhook;
            let answer = fetch(&Fetch { method: "POST", url, headers, body: Some(body), limit }).await;
            match answer {
                Ok(answer) if answer.status < 300 => Ok(()),
                Ok(answer) => Err(format!("it answered {}", answer.status)),
                // The reason may hold the URL, and that is a secret.
                Err(reason) => Err(reason.replace(url.as_str(), &webhook.name())),
            }
        })
    }
}
