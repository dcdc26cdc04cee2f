use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sabot_proxy::{Controller, Options, ProxySpec};
use serde_json::json;

use super::*;
use crate::book::OnRestart;
use crate::engine::{Asked, Settings};
use crate::journal::Filter;
use crate::request::{Request, Selector};

/// Takes note of what it is sent, once it has failed so many times.
struct Taken {
    failures: AtomicUsize,
    tries: AtomicUsize,
    /// It never answers.
    hangs: bool,
    messages: Mutex<Vec<(String, Value)>>,
    told: tokio::sync::Notify,
}

impl Post for Taken {
    fn post<'a>(
        &'a self,
        webhook: &'a Webhook,
        body: &'a Value,
        _: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        let fails =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        self.tries.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if self.hangs {
                self.told.notify_one();
                std::future::pending::<()>().await;
            }
            if fails.is_ok() {
                return Err("it answered 500".to_owned());
            }
            self.messages.lock().unwrap().push((webhook.url.clone(), body.clone()));
            self.told.notify_one();
            Ok(())
        })
    }
}

struct Bench {
    engine: Engine,
    taken: Arc<Taken>,
    stage: watch::Sender<Stage>,
    task: tokio::task::JoinHandle<()>,
}

impl Bench {
    async fn new(webhooks: &[Value], failures: usize) -> Self {
        Self::telling(webhooks, failures, false).await
    }

    async fn telling(webhooks: &[Value], failures: usize, hangs: bool) -> Self {
        let controller = Controller::start(&Options { workers: Some(1), ..Options::default() }).unwrap();
        controller.create(ProxySpec::new("payments", "127.0.0.1:9")).await.unwrap();
        let production = ProxySpec::new("ledger", "127.0.0.1:9");
        let labels = [("env".to_owned(), "production".to_owned())].into();
        controller.create(ProxySpec { labels, ..production }).await.unwrap();
        let engine = Engine::start(controller, Settings::default(), None, OnRestart::Resume).await;
        let taken = Taken {
            failures: AtomicUsize::new(failures),
            tries: AtomicUsize::default(),
            hangs,
            messages: Mutex::default(),
            told: tokio::sync::Notify::new(),
        };
        let taken = Arc::new(taken);
        let hooks = webhooks.iter().map(|hook| serde_json::from_value(hook.clone()).unwrap()).collect();
        let post: Arc<dyn Post> = Arc::<Taken>::clone(&taken);
        let (stage, told) = watch::channel(Stage::Listen);
        let pauses = [Duration::ZERO; 2];
        let task = notify_pausing(engine.clone(), hooks, post, pauses, told);
        Self { engine, taken, stage, task: tokio::spawn(task) }
    }

    async fn live_and_die(&self) -> Injection {
        let id = self.inject("payments").await.id;
        self.engine.revert(&id, &ann()).await.unwrap()
    }

    async fn inject(&self, service: &str) -> Injection {
        let request = Request::read(json!({
            "target": {"service": service, "max_targets": 1},
            "fault": {"type": "latency", "p50_ms": 200, "p99_ms": 500},
            "duration_seconds": 240,
            "steady_state": {"slo": "<writes>", "min": 0.995, "abort_after": 60},
            "hypothesis": "p99 < 1 s & nobody notices", "owner": "ann@example.com",
        }));
        let (request, scope) = (request.unwrap(), Selector::default());
        self.engine.inject(Asked { request, actor: ann(), scope }).await.unwrap()
    }

    /// What webhooks could not be told, once it is so many: about what, and why.
    async fn failures(&self, count: usize) -> Vec<(String, String)> {
        loop {
            let failures = self.failed();
            if failures.len() >= count {
                return failures;
            }
            tokio::task::yield_now().await;
        }
    }

    fn failed(&self) -> Vec<(String, String)> {
        let failed = Filter { action: Some("webhook".into()), ..Filter::default() };
        let failed = self.engine.audit(&failed).unwrap().into_iter().map(|it| match it.event {
            Event::WebhookFailed { about, reason, .. } => (about, reason),
            other => panic!("{other:?}"),
        });
        failed.collect()
    }

    async fn messages(&self, count: usize) -> Vec<(String, Value)> {
        loop {
            let told = self.taken.told.notified();
            let messages = self.taken.messages.lock().unwrap().clone();
            if messages.len() >= count {
                return messages;
            }
            told.await;
        }
    }
}

fn ann() -> Actor {
    Actor::new("ann@example.com", "")
}

#[tokio::test]
async fn each_format_tells_of_the_start_and_the_end() {
    for (format, count) in [("json", 2), ("slack", 2), ("grafana", 2), ("otlp", 1)] {
        let bench = Bench::new(&[json!({"url": "http://a/b", "format": format})], 0).await;
        let injection = bench.live_and_die().await;
        let messages: Vec<_> = bench.messages(count).await.into_iter().map(|(_, body)| body).collect();
        let last = messages.last().unwrap();
        match format {
            "json" => {
                assert_eq!(messages[0]["moment"], "started");
                assert_eq!(
                    messages[0]["injection"]["fault"],
                    json!({"type": "latency", "p50_ms": 200, "p99_ms": 500})
                );
                assert_eq!(last["injection"]["id"], injection.id);
                assert_eq!(last["injection"]["state"], "reverted");
                assert!(last["injection"]["ended_at"].as_str().unwrap().ends_with('Z'), "{last}");
                assert_eq!(last["event"]["action"], "injection.ended");
            }
            "slack" => {
                let text = messages[0]["text"].as_str().unwrap();
                let expected = "latency (p50_ms=200 p99_ms=500) on payments (";
                assert!(text.contains(expected) && text.contains("p99 &lt; 1 s &amp; nobody"), "{text}");
                assert!(last["text"].as_str().unwrap().contains("is reverted: taken back by ann"), "{last}");
            }
            "grafana" => {
                assert_eq!(last["time"], injection.started_at_ms.unwrap());
                assert_eq!(last["timeEnd"], injection.ended_at_ms.unwrap());
                assert!(messages[0]["timeEnd"].is_null());
                let text = messages[0]["text"].as_str().unwrap();
                assert!(text.starts_with("latency (p50_ms=200 p99_ms=500) on payments: p99 < 1 s"), "{text}");
                assert!(last["tags"].as_array().unwrap().contains(&json!("payments")));
            }
            _ => {
                let span = &last["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
                assert_eq!(
                    (span["traceId"].as_str().unwrap().len(), span["spanId"].as_str().unwrap().len()),
                    (32, 16)
                );
                assert_eq!(span["startTimeUnixNano"], format!("{}000000", injection.started_at_ms.unwrap()));
                assert_eq!(span["status"]["code"], 1);
            }
        }
    }
}

#[tokio::test]
async fn what_has_happened_is_told_after_it_is_enough() {
    let bench = Bench::new(&[json!({"url": "http://a/b"})], 2).await;
    bench.live_and_die().await;
    let Bench { taken, stage, task, .. } = bench;
    drop(stage);
    task.await.unwrap();
    assert_eq!(taken.messages.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn however_much_ends_at_once_all_of_it_is_told() {
    let bench = Bench::new(&[json!({"url": "http://a/b", "on": ["ended"]})], 0).await;
    for _ in 0..2500 {
        bench.inject("ledger").await;
    }
    let halted = bench.engine.halt(&ann(), &Selector::default()).await.unwrap();
    assert_eq!(halted.reverted.len(), 2500);
    let Bench { engine, taken, stage, task } = bench;
    drop(stage);
    task.await.unwrap();
    assert_eq!(taken.messages.lock().unwrap().len(), 2500);
    let failed = Filter { action: Some("webhook".into()), ..Filter::default() };
    assert_eq!(engine.audit(&failed).unwrap(), []);
}

#[tokio::test]
async fn what_waits_for_a_webhook_has_a_bound_and_the_rest_is_noted() {
    let bench = Bench::new(&[], 0).await;
    let injection = bench.inject("ledger").await;
    let id = injection.id.clone();
    let event = Event::Ended { id, state: Ending::Reverted, reason: "a test".to_owned(), breach: None };
    let change = Arc::new(Change { event, injection: Some(injection.clone()) });
    let hook: Webhook = serde_json::from_value(json!({"url": "https://user:secret@a/b"})).unwrap();
    let (sending, _receiving) = queue(hook, 2);
    let queues = Queues(vec![sending]);
    assert_eq!((queues.hear(&change), queues.hear(&change)), (vec![], vec![]));
    let [Event::WebhookFailed { webhook, about, reason }] = &queues.hear(&change)[..] else { panic!() };
    assert_eq!((webhook.as_str(), about, reason.contains("too many")), ("https://a", &injection.id, true));
}

#[tokio::test]
async fn only_what_is_wanted_is_told() {
    let hooks = [
        json!({"url": "http://starts/", "on": ["started"]}),
        json!({"url": "http://ends/", "on": ["ended", "aborted"]}),
    ];
    let bench = Bench::new(&hooks, 0).await;
    bench.live_and_die().await;
    let mut urls: Vec<_> = bench.messages(2).await.into_iter().map(|(url, _)| url).collect();
    urls.sort();
    assert_eq!(urls, ["http://ends/", "http://starts/"]);
}

#[tokio::test]
async fn it_is_tried_again_and_a_failure_is_kept_without_secrets() {
    let hook = json!({"url": "https://user:secret@hooks.example.com/T0/secret", "on": ["started"]});
    let bench = Bench::new(&[hook], 3).await;
    bench.live_and_die().await;
    let failed = loop {
        let all =
            bench.engine.audit(&Filter { action: Some("webhook".into()), ..Filter::default() }).unwrap();
        if let Some(failed) = all.into_iter().next() {
            break failed.event;
        }
        tokio::task::yield_now().await;
    };
    let Event::WebhookFailed { webhook, reason, .. } = failed else { panic!("{failed:?}") };
    assert_eq!((webhook.as_str(), reason.as_str()), ("https://hooks.example.com", "it answered 500"));
    bench.live_and_die().await;
    assert_eq!(bench.messages(1).await.len(), 1);
}

#[tokio::test]
async fn what_is_untold_when_the_server_stops_is_noted_before_its_stop() {
    let hooks = [json!({"url": "http://a/b"}), json!({"url": "http://c/d", "format": "otlp"})];
    let bench = Bench::telling(&hooks, 0, true).await;
    let (first, second) = (bench.live_and_die().await.id, bench.live_and_die().await.id);
    bench.taken.told.notified().await;
    bench.stage.send_replace(Stage::GiveUp);
    let Bench { engine, taken, stage, task } = bench;
    task.await.unwrap();
    engine.stop().await;
    let mut about = [first, second];
    about.sort();
    let about = about.join(", ");
    let untold =
        |count| (about.clone(), format!("the server stopped before it was told of {count} messages"));
    let bench = Bench { engine, taken, stage, task: tokio::spawn(async {}) };
    let mut failures = bench.failed();
    failures.sort();
    assert_eq!(failures, [untold(2), untold(4)], "a span is sent at the end alone");
    let last = bench.engine.audit(&Filter::default()).unwrap().pop().unwrap();
    assert_eq!(last.event, Event::ServerStopped {});
}

#[tokio::test]
async fn one_that_has_failed_is_tried_once_until_it_answers() {
    let bench = Bench::new(&[json!({"url": "http://a/b"})], 5).await;
    // Three tries, one, one that fails, one that does not.
    let (_, second) = (bench.live_and_die().await, bench.live_and_die().await);
    let (_, told) = bench.messages(1).await.remove(0);
    assert_eq!((&told["injection"]["id"], &told["moment"]), (&json!(second.id), &json!("ended")));
    assert_eq!((bench.taken.tries.load(Ordering::SeqCst), bench.failures(3).await.len()), (6, 3));
    // It answers: from now on it is given time again.
    bench.taken.failures.store(2, Ordering::SeqCst);
    bench.live_and_die().await;
    bench.messages(3).await;
    assert_eq!((bench.taken.tries.load(Ordering::SeqCst), bench.failures(3).await.len()), (10, 3));
}

#[test]
fn what_cannot_be_sent_to_is_refused() {
    for url in ["", "hooks.example.com", "http://", "ftp://a", "http:///a"] {
        let hook: Webhook = serde_json::from_value(json!({"url": url})).unwrap();
        assert_eq!(hook.check().unwrap_err().field, "url", "{url}");
    }
    assert!(serde_json::from_value::<Webhook>(json!({"url": "http://a", "format": "teams"})).is_err());
}
