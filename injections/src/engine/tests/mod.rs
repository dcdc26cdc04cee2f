//! The engine over real proxies, by a clock that stands still until it is told.

mod asking;
mod life;
mod restart;
mod schedules;
mod watching;

use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sabot_proxy::{Options, ProxySpec};
use serde_json::{Value, json};

use super::view::OwnView;
use super::*;
use crate::book::OnRestart;
use crate::clock::Clock;
use crate::injection::State;
use crate::journal::FILE;
use crate::rules::Rules;
use crate::schedule::Recurrence;

/// A clock that stands still until it is told.
#[derive(Default)]
struct Told(AtomicU64);

impl Clock for Told {
    fn now(&self) -> Moment {
        let ms = self.0.load(Ordering::SeqCst);
        Moment { wall_ms: 1_800_000_000_000 + ms, steady_ms: 1_000_000 + ms }
    }

    fn boot(&self) -> String {
        "boot".to_owned()
    }
}

struct Bench {
    engine: Engine,
    controller: Controller,
    clock: Arc<Told>,
}

impl Bench {
    async fn new(directory: Option<&Path>, on_restart: OnRestart, settings: Settings) -> Self {
        Self::at(0, directory, on_restart, settings).await
    }

    /// One that comes up so late.
    async fn at(ms: u64, directory: Option<&Path>, on_restart: OnRestart, settings: Settings) -> Self {
        let controller = Controller::start(&Options { workers: Some(1), ..Options::default() }).unwrap();
        for (name, shard) in [("south-a", "south"), ("south-b", "south"), ("north", "north")] {
            let mut spec = ProxySpec::new(name, "127.0.0.1:9");
            spec.labels.insert("service".to_owned(), "payments".to_owned());
            spec.labels.insert("shard".to_owned(), shard.to_owned());
            controller.create(spec).await.unwrap();
        }
        let clock = Arc::new(Told(AtomicU64::new(ms)));
        let shared: Arc<dyn Clock> = Arc::<Told>::clone(&clock);
        let engine =
            Engine::open_with(controller.clone(), settings, directory, on_restart, shared).start().await;
        Self { engine, controller, clock }
    }

    async fn plain() -> Self {
        Self::new(None, OnRestart::Resume, Settings::default()).await
    }

    /// Which proxies have a fault on.
    fn on(&self) -> Vec<String> {
        let has = |it: &sabot_proxy::ProxyView| !it.injected.is_empty();
        self.controller.list().into_iter().filter(has).map(|it| it.name).collect()
    }

    async fn inject(&self, change: impl FnOnce(&mut Value)) -> Result<Injection, EngineError> {
        self.engine.inject(asked(change)).await
    }

    /// Lets so much time pass, and waits until the injection has ended.
    async fn ends_after(&self, ms: u64, id: &str) -> Injection {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
        self.engine.inner.sooner.notify_one();
        let mut changes = self.engine.changes();
        loop {
            let injection = self.engine.injection(id).unwrap();
            if injection.state.is_over() {
                return injection;
            }
            changes.recv().await.unwrap();
        }
    }

    fn actions(&self) -> Vec<String> {
        let all = self.engine.audit(&Filter::default()).unwrap();
        all.iter()
            .map(|it| serde_json::to_value(&it.event).unwrap()["action"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn ann() -> Actor {
    Actor::new("ann@example.com", "127.0.0.1")
}

fn asked(change: impl FnOnce(&mut Value)) -> Asked {
    let mut body = json!({
        "target": {"service": "payments", "selector": "shard=south", "max_targets": 3},
        "fault": {"type": "latency", "p50_ms": 20, "p99_ms": 50},
        "duration_seconds": 240,
        "steady_state": {"slo": "writes", "min": 0.995, "abort_after": 60},
        "hypothesis": "it holds", "owner": "payments-oncall@example.com",
    });
    change(&mut body);
    let request = Request::read(body).unwrap();
    Asked { request, actor: ann(), scope: Selector::default() }
}
