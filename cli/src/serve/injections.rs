//! Injections: the engine over the proxies, and those whom it tells.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sabot_injections::book::OnRestart;
use sabot_injections::engine::Engine;
use sabot_injections::event::{Actor, Event};
use sabot_injections::notify::{Format, Moment, Post, Stage, Webhook, notify};
use sabot_proxy::Controller;
use sabot_runner::fetch::{Fetch, fetch};
use serde_json::Value;
use tokio::sync::watch;
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
    /// By former configs, which have not told all yet.
    former: Vec<Telling>,
}

/// A task that tells webhooks, and what is wanted of it.
struct Telling {
    stage: watch::Sender<Stage>,
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
        Self { engine: unstarted.start().await, telling, former: Vec::new() }
    }

    /// Puts another configuration in force.
    pub(super) fn configure(&mut self, config: &Injections) {
        self.engine.configure(config.settings.clone());
        // The former one has its say of what has happened until now.
        let former = std::mem::replace(&mut self.telling, tell(&self.engine, config));
        former.stage.send_replace(Stage::Finish);
        self.former.retain(|it| !it.task.is_finished());
        self.former.push(former);
    }

    /// Notes what came of reading the config anew.
    pub(super) fn reloaded(&self, outcome: &str) {
        self.engine.note(&Actor::server(), Event::Reloaded { outcome: outcome.to_owned() });
    }

    /// Notes that the server stops; what is running stays in the journal, for the next start.
    pub(super) async fn stop(self) {
        let mut telling = self.former;
        telling.push(self.telling);
        // What is not told by the first limit is given up and noted, which takes no time.
        for stage in [Stage::Finish, Stage::GiveUp] {
            for it in &telling {
                it.stage.send_replace(stage);
            }
            let all = telling.iter_mut().filter(|it| !it.task.is_finished());
            let all = async {
                for it in all {
                    // One that panicked has said so.
                    let _ = (&mut it.task).await;
                }
            };
            if tokio::time::timeout(LAST_WORDS, all).await.is_ok() {
                break;
            }
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
    let (stage, wanted) = watch::channel(Stage::Listen);
    Telling { stage, task: tokio::spawn(notify(engine.clone(), webhooks, Arc::new(Http), wanted)) }
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
