//! What happens, as it happens: server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event as Message, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures_util::stream::{self, Stream};
use http::StatusCode;
use sabot_injections::access::Access;
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, interval};

use crate::app::App;
use crate::error::ApiError;
use crate::security::Who;

/// The name of an event, and its data.
type Named<T> = fn(&T) -> (String, Value);

/// How often it is looked whether the token of a reader is still good for anything.
const LOOK: Duration = Duration::from_secs(1);

/// All that comes from now on, each as `named` says. A reader that is too slow misses some and is told how
/// many (`lagged`); the stream ends with its source, the server, or the reader's token.
pub(crate) fn answer<T>(
    app: &App,
    who: Who,
    events: Receiver<T>,
    named: Named<T>,
) -> Result<Response, ApiError>
where
    T: Clone + Send + 'static,
{
    let permit = app.event_streams.clone().try_acquire_owned().map_err(|_| {
        let limit = app.options.max_event_streams;
        let message = format!("all {limit} event streams are in use: close one and try again");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
    })?;
    let token = app.gate.as_ref().map(|gate| gate.access().clone()).zip(who.token);
    let stopping = app.stopping.clone();
    let subscriber = Subscriber { events, named, stopping, token, looks: interval(LOOK), _permit: permit };
    let sse = Sse::new(subscriber.messages());
    Ok(sse.keep_alive(KeepAlive::new().interval(app.options.keep_alive)).into_response())
}

/// Gives its permit back when the stream is dropped.
struct Subscriber<T> {
    events: Receiver<T>,
    named: Named<T>,
    stopping: watch::Receiver<bool>,
    /// Whose it is, where there are tokens.
    token: Option<(Access, String)>,
    looks: Interval,
    _permit: OwnedSemaphorePermit,
}

impl<T: Clone + Send + 'static> Subscriber<T> {
    fn messages(self) -> impl Stream<Item = Result<Message, Infallible>> {
        stream::unfold(self, |mut this| async move { Some((Ok(this.next().await?), this)) })
    }

    /// The next message; none when the proxy or the token is gone or the server stops.
    async fn next(&mut self) -> Option<Message> {
        // A router without a server never stops: then the sender is gone.
        let stopped = async {
            if self.stopping.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let revoked = async {
            let Some((access, id)) = &self.token else { return std::future::pending().await };
            while access.is_good(id).unwrap_or(false) {
                self.looks.tick().await;
            }
        };
        let event = tokio::select! {
            event = self.events.recv() => event,
            () = stopped => return None,
            () = revoked => return None,
        };
        match event {
            Ok(event) => Some(message((self.named)(&event))),
            Err(RecvError::Lagged(missed)) => {
                let told = json!({ "type": "lagged", "missed": missed });
                Some(message(("lagged".to_owned(), told)))
            }
            Err(RecvError::Closed) => None,
        }
    }
}

fn message((name, data): (String, Value)) -> Message {
    Message::default().event(name).data(data.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use tokio::sync::{Semaphore, broadcast};

    use super::*;

    /// What a reader sees that comes only after `sent` events, of which the
    /// server keeps two.
    async fn late_reader(sent: u64, stop: bool) -> String {
        let (sender, events) = broadcast::channel(2);
        let (stopper, stopping) = watch::channel(stop);
        let places = Arc::new(Semaphore::new(1));
        let named = |number: &u64| ("counted".to_owned(), json!({ "number": number }));
        let permit = places.clone().try_acquire_owned().unwrap();
        let looks = interval(LOOK);
        let subscriber = Subscriber { events, named, stopping, token: None, looks, _permit: permit };
        for number in 0..sent {
            sender.send(number).unwrap();
        }
        drop(sender);
        let body = Sse::new(subscriber.messages()).into_response().into_body();
        let bytes = body.collect().await.unwrap().to_bytes();
        assert_eq!(places.available_permits(), 1);
        drop(stopper);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn event(number: u64) -> String {
        format!("event: counted\ndata: {{\"number\":{number}}}\n\n")
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed() {
        assert_eq!(late_reader(2, false).await, event(0) + &event(1));
        let lagged = "event: lagged\ndata: {\"type\":\"lagged\",\"missed\":3}\n\n";
        assert_eq!(late_reader(5, false).await, lagged.to_owned() + &event(3) + &event(4));
    }

    #[tokio::test]
    async fn a_stop_ends_the_stream() {
        assert_eq!(late_reader(0, true).await, "");
    }
}
