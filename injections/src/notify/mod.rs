//! Telling others: webhooks at the start and the end of injections, so that the on-call knows.
//!
//! A format is one file and one line in the list below.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sabot_toxics::Invalid;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::engine::{Change, Engine, Listener};
use crate::event::{Actor, Event};
use crate::injection::{Ending, Injection};

macro_rules! formats {
    ($($(#[$about:meta])+ $module:ident::$format:ident,)*) => {
        $(mod $module;)*

        /// What is sent.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Format {
            $($(#[$about])+ $format,)*
        }

        impl Format {
            /// What is sent of a moment in the life of an injection; none if this format has nothing to say.
            #[must_use]
            pub fn message(self, moment: Moment, event: &Event, injection: &Injection) -> Option<Value> {
                match self {
                    $(Self::$format => $module::message(moment, event, injection),)*
                }
            }
        }
    };
}

formats! {
    /// The event and the injection, under the names that the API has for them.
    #[default]
    json::Json,
    /// A text, for Slack and what takes its webhooks.
    slack::Slack,
    /// An annotation, for Grafana's `/api/annotations`.
    grafana::Grafana,
    /// A span, for `/v1/traces` of an OpenTelemetry collector (OTLP over HTTP, in JSON).
    otlp::Otlp,
}

/// A moment in the life of an injection that others may want to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// It waits for a second person.
    Pending,
    /// Its fault comes on.
    Started,
    /// What guards it has taken it back.
    Aborted,
    /// It is over by other ways.
    Ended,
}

impl Moment {
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Requested { needs_approval: Some(_), .. } => Some(Self::Pending),
            Event::Started { .. } | Event::Resumed { .. } => Some(Self::Started),
            Event::Ended { state: Ending::Aborted, .. } => Some(Self::Aborted),
            Event::Ended { .. } => Some(Self::Ended),
            _ => None,
        }
    }
}

/// Somebody who wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to; a secret, as Slack's are.
    pub url: String,
    /// What.
    #[serde(default)]
    pub format: Format,
    /// When; at every such moment unless given.
    #[serde(default)]
    pub on: Vec<Moment>,
    /// Headers, such as `Authorization`; secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl Webhook {
    /// Refuses what cannot be sent to.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn check(&self) -> Result<(), Invalid> {
        let host = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
            return Err(Invalid::new("url", "must begin with http:// or https:// and a host"));
        }
        Ok(())
    }

    /// Whom it tells, without what is secret: scheme, host and port.
    #[must_use]
    pub fn name(&self) -> String {
        let end = self.url.match_indices('/').nth(2).map_or(self.url.len(), |(at, _)| at);
        let (scheme, host) = self.url[..end].split_once("://").unwrap_or_default();
        // A password may stand before the host.
        format!("{scheme}://{}", host.rsplit('@').next().unwrap_or_default())
    }
}

/// Sends; over HTTP, or to a test.
pub trait Post: Send + Sync {
    /// Posts JSON; ready within about `limit`. The error is a sentence without secrets.
    fn post<'a>(
        &'a self,
        webhook: &'a Webhook,
        body: &'a Value,
        limit: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
}

/// So many changes may wait for one webhook, whatever else is configured: a start and an end of each injection
/// that there may be at one time, within these bounds. More are given up, and that is noted.
const QUEUE: RangeInclusive<usize> = 1000..=100_000;

/// How long one try may take, and how long to wait before each of the next ones.
const LIMIT: Duration = Duration::from_secs(5);
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// What is wanted of those who tell webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// That they listen, and tell.
    Listen,
    /// That they tell what has happened until now, and end. Also meant by a sender that is gone.
    Finish,
    /// That they end now, and note what they have not told.
    GiveUp,
}

/// Tells the webhooks what happens until `stage` says that it is enough, and ends once all were told of what had
/// happened until then, or at once if that is to be given up. Each has a queue of its own, so that one that hangs
/// keeps none of the others waiting, and none keeps an injection waiting.
///
/// They are told of what happens from the call on, not from the first poll.
pub fn notify(
    engine: Engine,
    webhooks: Vec<Webhook>,
    post: Arc<dyn Post>,
    stage: watch::Receiver<Stage>,
) -> impl Future<Output = ()> + Send {
    notify_pausing(engine, webhooks, post, PAUSES, stage)
}

fn notify_pausing(
    engine: Engine,
    webhooks: Vec<Webhook>,
    post: Arc<dyn Post>,
    pauses: [Duration; 2],
    mut stage: watch::Receiver<Stage>,
) -> impl Future<Output = ()> + Send {
    let most = engine.settings().rules.most.saturating_mul(2).clamp(*QUEUE.start(), *QUEUE.end());
    let (queues, messages): (Vec<_>, Vec<_>) = webhooks.into_iter().map(|it| queue(it, most)).unzip();
    let queues = Arc::new(Queues(queues));
    let listener: Weak<Queues> = Arc::downgrade(&queues);
    engine.listen(listener);
    async move {
        if queues.0.is_empty() {
            return;
        }
        let deliver = |(webhook, changes)| {
            let (engine, post) = (engine.clone(), Arc::clone(&post));
            Teller { engine, webhook, post, pauses }.run(changes, stage.clone())
        };
        let mut tasks = messages.into_iter().map(deliver).collect::<JoinSet<_>>();
        // It is also enough once nobody is left to say so.
        let _ = stage.wait_for(|it| *it != Stage::Listen).await;
        drop(queues);
        while tasks.join_next().await.is_some() {}
    }
}

/// What waits for one webhook: both ends of it.
fn queue(webhook: Webhook, most: usize) -> ((Webhook, Sender), (Webhook, Receiver)) {
    let (sender, receiver) = mpsc::channel(most);
    ((webhook.clone(), sender), (webhook, receiver))
}

/// A change and its moment: what is said of them is written when its turn comes.
type Told = (Moment, Arc<Change>);
type Sender = mpsc::Sender<Told>;
type Receiver = mpsc::Receiver<Told>;

/// Those of all webhooks. When it is gone, each is told of what waits.
struct Queues(Vec<(Webhook, Sender)>);

impl Listener for Queues {
    fn hear(&self, change: &Arc<Change>) -> Vec<Event> {
        let Some((moment, injection)) = Moment::of(&change.event).zip(change.injection.as_ref()) else {
            return Vec::new();
        };
        let wanted = self.0.iter().filter(|(it, _)| it.on.is_empty() || it.on.contains(&moment));
        let full = wanted.filter(|(_, queue)| queue.try_send((moment, Arc::clone(change))).is_err());
        full.map(|(webhook, _)| failed(webhook, &injection.id, "too many messages wait for it already"))
            .collect()
    }
}

/// Tells one webhook.
struct Teller {
    engine: Engine,
    webhook: Webhook,
    post: Arc<dyn Post>,
    pauses: [Duration; 2],
}

impl Teller {
    async fn run(self, mut changes: Receiver, mut stage: watch::Receiver<Stage>) {
        let mut current = None;
        let given_up = async {
            if stage.wait_for(|it| *it == Stage::GiveUp).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.tell_all(&mut changes, &mut current) => return,
            () = given_up => {}
        }
        let waiting = std::iter::from_fn(|| changes.try_recv().ok());
        let untold = current.into_iter().chain(waiting).filter(|told| self.message(told).is_some());
        let about: Vec<_> =
            untold.filter_map(|(_, change)| Some(change.injection.as_ref()?.id.clone())).collect();
        if !about.is_empty() {
            let reason = format!("the server stopped before it was told of {}", messages(about.len()));
            self.engine.note(&Actor::server(), failed(&self.webhook, &listed(about), &reason));
        }
    }

    /// Tells all that comes; `current` is what it is at.
    async fn tell_all(&self, changes: &mut Receiver, current: &mut Option<Told>) {
        let mut answers = true;
        while let Some(told) = changes.recv().await {
            let told = current.insert(told);
            if let Some((message, injection)) = self.message(told).zip(told.1.injection.as_ref()) {
                // One that has just failed a message thrice is not given time for the next that often.
                let pauses = if answers { &self.pauses[..] } else { &[] };
                let outcome = self.tell(&message, pauses).await;
                answers = outcome.is_ok();
                if let Err(reason) = outcome {
                    self.engine.note(&Actor::server(), failed(&self.webhook, &injection.id, &reason));
                }
            }
            *current = None;
        }
    }

    /// Tries once, and once more after each of the pauses.
    async fn tell(&self, message: &Value, pauses: &[Duration]) -> Result<(), String> {
        let mut outcome = self.post.post(&self.webhook, message, LIMIT).await;
        for pause in pauses {
            if outcome.is_ok() {
                break;
            }
            tokio::time::sleep(*pause).await;
            outcome = self.post.post(&self.webhook, message, LIMIT).await;
        }
        outcome
    }

    fn message(&self, (moment, change): &Told) -> Option<Value> {
        self.webhook.format.message(*moment, &change.event, change.injection.as_ref()?)
    }
}

fn messages(count: usize) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}

/// The first few, each once, and how many there are besides.
fn listed(mut names: Vec<String>) -> String {
    const SHOWN: usize = 3;
    names.sort_unstable();
    names.dedup();
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `http_abort (status=503) on pay-1, pay-2`.
fn what(injection: &Injection) -> String {
    let fault = &injection.request.fault;
    let (kind, targets) = (fault.kind().name, injection.targets.join(", "));
    match fault.told() {
        params if params.is_empty() => format!("{kind} on {targets}"),
        params => format!("{kind} ({params}) on {targets}"),
    }
}

fn failed(webhook: &Webhook, about: &str, reason: &str) -> Event {
    let (webhook, about, reason) = (webhook.name(), about.to_owned(), reason.to_owned());
    tracing::warn!(webhook, about, reason, "a webhook could not be told");
    Event::WebhookFailed { webhook, about, reason }
}
