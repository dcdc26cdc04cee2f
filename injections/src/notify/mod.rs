//! Telling others: webhooks at the start and the end of injections, so that the on-call knows.
//!
//! A format is one file and one line in the list below.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sabot_toxics::Invalid;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::engine::{Change, Engine};
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

/// So many messages may wait for one webhook; more are given up, and that is noted.
const QUEUE: usize = 1000;

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
    notify_pausing(engine.changes(), engine, webhooks, post, PAUSES, enough)
}

async fn notify_pausing(
    mut changes: broadcast::Receiver<Change>,
    engine: Engine,
    webhooks: Vec<Webhook>,
    post: Arc<dyn Post>,
    pauses: [Duration; 2],
    mut enough: oneshot::Receiver<()>,
) {
    if webhooks.is_empty() {
        return;
    }
    let mut tasks = tokio::task::JoinSet::new();
    let mut queues = Vec::new();
    for webhook in webhooks {
        let (queue, messages) = mpsc::channel(QUEUE);
        queues.push((webhook.clone(), queue));
        tasks.spawn(deliver(engine.clone(), webhook, messages, Arc::clone(&post), pauses));
    }
    loop {
        let change = tokio::select! {
            biased;
            change = changes.recv() => match change {
                Ok(change) => change,
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "webhooks are not told of some changes");
                    continue;
                }
                Err(RecvError::Closed) => break,
            },
            _ = &mut enough => break,
        };
        let Change { event, injection: Some(injection) } = &change else { continue };
        let Some(moment) = Moment::of(event) else { continue };
        for (webhook, queue) in &queues {
            if !webhook.on.is_empty() && !webhook.on.contains(&moment) {
                continue;
            }
            let Some(message) = webhook.format.message(moment, event, injection) else { continue };
            if queue.try_send((injection.id.clone(), message)).is_err() {
                failed(&engine, webhook, &injection.id, "too many messages wait for it already");
            }
        }
    }
    drop(queues);
    while tasks.join_next().await.is_some() {}
}

async fn deliver(
    engine: Engine,
    webhook: Webhook,
    mut messages: mpsc::Receiver<(String, Value)>,
    post: Arc<dyn Post>,
    pauses: [Duration; 2],
) {
    while let Some((id, message)) = messages.recv().await {
        let mut pauses = pauses.iter();
        loop {
            match (post.post(&webhook, &message, LIMIT).await, pauses.next()) {
                (Ok(()), _) => break,
                (Err(_), Some(pause)) => tokio::time::sleep(*pause).await,
                (Err(reason), None) => {
                    failed(&engine, &webhook, &id, &reason);
                    break;
                }
            }
        }
    }
}

fn failed(engine: &Engine, webhook: &Webhook, about: &str, reason: &str) {
    let (webhook, about, reason) = (webhook.name(), about.to_owned(), reason.to_owned());
    tracing::warn!(webhook, about, reason, "a webhook could not be told");
    engine.note(&Actor::server(), Event::WebhookFailed { webhook, about, reason });
}
