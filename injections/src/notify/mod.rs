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
use tokio::sync::{mpsc, oneshot};
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

/// Tells the webhooks what happens until `enough` is ready (or its sender gone), and ends once all were told of
/// what had happened until then. Each has a queue of its own, so that one that hangs keeps none of the others
/// waiting, and none keeps an injection waiting.
///
/// They are told of what happens from the call on, not from the first poll.
pub fn notify(
    engine: Engine,
    webhooks: Vec<Webhook>,
    post: Arc<dyn Post>,
    enough: oneshot::Receiver<()>,
) -> impl Future<Output = ()> + Send {
    notify_pausing(engine, webhooks, post, PAUSES, enough)
}

fn notify_pausing(
    engine: Engine,
    webhooks: Vec<Webhook>,
    post: Arc<dyn Post>,
    pauses: [Duration; 2],
    enough: oneshot::Receiver<()>,
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
        let deliver =
            |(webhook, messages)| deliver(engine.clone(), webhook, messages, Arc::clone(&post), pauses);
        let mut tasks = messages.into_iter().map(deliver).collect::<JoinSet<_>>();
        // It is also enough once nobody is left to say so.
        let _ = enough.await;
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
type Sender = mpsc::Sender<(Moment, Arc<Change>)>;
type Receiver = mpsc::Receiver<(Moment, Arc<Change>)>;

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

async fn deliver(
    engine: Engine,
    webhook: Webhook,
    mut changes: Receiver,
    post: Arc<dyn Post>,
    pauses: [Duration; 2],
) {
    while let Some((moment, change)) = changes.recv().await {
        let Some(injection) = &change.injection else { continue };
        let Some(message) = webhook.format.message(moment, &change.event, injection) else { continue };
        let mut pauses = pauses.iter();
        loop {
            match (post.post(&webhook, &message, LIMIT).await, pauses.next()) {
                (Ok(()), _) => break,
                (Err(_), Some(pause)) => tokio::time::sleep(*pause).await,
                (Err(reason), None) => {
                    engine.note(&Actor::server(), failed(&webhook, &injection.id, &reason));
                    break;
                }
            }
        }
    }
}

fn failed(webhook: &Webhook, about: &str, reason: &str) -> Event {
    let (webhook, about, reason) = (webhook.name(), about.to_owned(), reason.to_owned());
    tracing::warn!(webhook, about, reason, "a webhook could not be told");
    Event::WebhookFailed { webhook, about, reason }
}
