//! What happens on a proxy, as it happens (server-sent events).

use std::convert::Infallible;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event as Message, KeepAlive};
use futures_util::stream::{self, Stream};
use http::StatusCode;
use sabot_proxy::Event;
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::refuse::refused;
use super::wire::{EventData, RequestData};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::Names;

/// Everything that happens on a proxy from now on. `event:` is the type,
/// `data:` one JSON object. A reader that is too slow misses events and is told
/// how many (`lagged`); the stream ends with the proxy.
#[utoipa::path(get, path = "/v1/proxies/{proxy}/events", tag = "sabot", operation_id = "events",
    params(("proxy" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = EventData),
        (status = 404, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn stream(
    State(app): State<App>,
    Names(proxy): Names<String>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, ApiError> {
    let events = app.controller.events(&proxy).map_err(refused)?;
    told(&app, events)
}

/// The access log of an HTTP proxy from now on: an event `request` for each request, when
/// the last byte of its answer has gone. Nothing is gathered while nobody reads.
#[utoipa::path(get, path = "/v1/proxies/{proxy}/requests", tag = "sabot", operation_id = "requests",
    params(("proxy" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = RequestData),
        (status = 400, body = ApiError), (status = 404, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn requests(
    State(app): State<App>,
    Names(proxy): Names<String>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, ApiError> {
    let requests = app.controller.requests(&proxy).map_err(refused)?;
    told(&app, requests)
}

fn told(
    app: &App,
    events: Receiver<Event>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>> + use<>>, ApiError> {
    let permit = app.event_streams.clone().try_acquire_owned().map_err(|_| {
        let limit = app.options.max_event_streams;
        let message = format!("all {limit} event streams are in use: close one and try again");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
    })?;
    let subscriber = Subscriber { events, stopping: app.stopping.clone(), _permit: permit };
    Ok(Sse::new(subscriber.messages()).keep_alive(KeepAlive::new().interval(app.options.keep_alive)))
}

/// Gives its permit back when the stream is dropped.
struct Subscriber {
    events: Receiver<Event>,
    stopping: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Subscriber {
    fn messages(self) -> impl Stream<Item = Result<Message, Infallible>> {
        stream::unfold(self, |mut this| async move { Some((Ok(this.next().await?), this)) })
    }

    /// The next message; none when the proxy is gone or the server stops.
    async fn next(&mut self) -> Option<Message> {
        // A router without a server never stops: then the sender is gone.
        let stopped = async {
            if self.stopping.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let event = tokio::select! {
            event = self.events.recv() => event,
            () = stopped => return None,
        };
        match event {
            Ok(event) => Some(message(&serde_json::to_value(&event).unwrap_or_default())),
            Err(RecvError::Lagged(missed)) => Some(message(&json!({ "type": "lagged", "missed": missed }))),
            Err(RecvError::Closed) => None,
        }
    }
}

fn message(event: &Value) -> Message {
    let kind = event["type"].as_str().unwrap_or("message");
    Message::default().event(kind).data(event.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::response::IntoResponse;
    use http_body_util::BodyExt;
    use sabot_proxy::What;
    use tokio::sync::{Semaphore, broadcast};

    use super::*;

    /// What a reader sees that comes only after `sent` events, of which the
    /// server keeps two.
    async fn late_reader(sent: u64, stop: bool) -> String {
        let (sender, events) = broadcast::channel(2);
        let (stopper, stopping) = watch::channel(stop);
        let places = Arc::new(Semaphore::new(1));
        let subscriber =
            Subscriber { events, stopping, _permit: places.clone().try_acquire_owned().unwrap() };
        for connection in 0..sent {
            let toxic = "slow".to_owned();
            let what = What::ToxicApplied { connection, toxic, kind: "latency" };
            sender.send(Event { at_ms: 1, what }).unwrap();
        }
        drop(sender);
        let body = Sse::new(subscriber.messages()).into_response().into_body();
        let bytes = body.collect().await.unwrap().to_bytes();
        assert_eq!(places.available_permits(), 1);
        drop(stopper);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn event(connection: u64) -> String {
        let data = format!(
            r#"{{"at_ms":1,"type":"toxic_applied","connection":{connection},"toxic":"slow","kind":"latency"}}"#
        );
        format!("event: toxic_applied\ndata: {data}\n\n")
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
