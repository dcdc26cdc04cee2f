//! The client against a stub that answers from a table.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sabot_client::{
    Audit, Client, Error, InjectionTarget, NewInjection, NewProxy, NewToxic, SteadyState, ToxicPatch, Which,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

type Answer = (u16, String);

/// Serves `answer(method, path, body)` until the test ends.
async fn stub(answer: fn(&str, &str, &Value) -> Answer) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = hyper::service::service_fn(move |request: Request<Incoming>| async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let (status, text) = answer(parts.method.as_str(), parts.uri.path(), &body);
                let response = Response::builder().status(status).body(Full::new(Bytes::from(text)));
                Ok::<_, Infallible>(response.unwrap())
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(socket), service));
        }
    });
    Client::new(&address.to_string()).unwrap()
}

fn proxy(name: &str) -> Value {
    json!({"name": name, "listen": "127.0.0.1:1", "upstream": "a:2", "enabled": true,
           "toxics": [], "connections": {"open": 1, "total": 2}, "new_field": 1})
}

#[tokio::test]
async fn calls_send_what_was_asked_and_read_what_came() {
    let client = stub(|method, path, body| match (method, path) {
        ("POST", "/v1/proxies") => {
            assert_eq!(body, &json!({"name": "a/b", "upstream": "a:2", "enabled": true}));
            (201, proxy("a/b").to_string())
        }
        ("GET", "/v1/proxies/a%2Fb") => (200, proxy("a/b").to_string()),
        ("PATCH", "/v1/proxies/a%2Fb/toxics/l%40x") => {
            assert_eq!(body, &json!({"toxicity": 0.5}));
            let toxic = json!({"name": "l@x", "type": "latency", "stream": "upstream", "toxicity": 0.5,
                "attributes": {"latency": 5, "jitter": 0.25}, "when": {"first": 2}, "applied": 3,
                "expires_in_ms": null, "owner": "toxic"});
            (200, toxic.to_string())
        }
        ("DELETE", "/v1/proxies/a%2Fb/connections/7") | ("POST", "/v1/reset") => (204, String::new()),
        other => (404, json!({"error": format!("{other:?}"), "status": 404}).to_string()),
    })
    .await;
    let created = client.create_proxy(&NewProxy::new("a/b", "a:2")).await.unwrap();
    assert_eq!(created.connections.total, 2);
    assert_eq!(client.proxy("a/b").await.unwrap().name, "a/b");
    let patch = ToxicPatch { toxicity: Some(0.5), ..ToxicPatch::default() };
    let toxic = client.update_toxic("a/b", "l@x", &patch).await.unwrap();
    assert_eq!((toxic.applied, toxic.when["first"].as_u64()), (3, Some(2)));
    client.close_connection("a/b", 7).await.unwrap();
    client.reset().await.unwrap();
}

#[tokio::test]
async fn a_refusal_carries_status_message_and_field() {
    let client = stub(|_, _, _| {
        let field = json!({"error": "unknown attribute", "status": 400, "field": "attributes.latncy"});
        (400, field.to_string())
    })
    .await;
    match client.add_toxic("p", &NewToxic::new("latency")).await.unwrap_err() {
        Error::Api { status, message, field } => {
            assert_eq!((status, message.as_str()), (400, "unknown attribute"));
            assert_eq!(field.as_deref(), Some("attributes.latncy"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stranger_is_called_one() {
    let client = stub(|_, _, _| (404, "404 page not found".to_owned())).await;
    let text = client.proxies().await.unwrap_err().to_string();
    assert!(text.contains("404 Not Found, which is not an answer of Sabot"), "{text}");
    let client = stub(|_, _, _| (200, "<html>".to_owned())).await;
    let text = client.proxies().await.unwrap_err().to_string();
    assert!(text.contains("the answer is not Sabot's"), "{text}");
}

#[tokio::test]
async fn nobody_there_says_how_to_start() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let text = Client::new(&address.to_string()).unwrap().version().await.unwrap_err().to_string();
    assert!(text.contains("refused") && text.contains("sabot serve"), "{text}");
}

#[tokio::test]
async fn silence_ends() {
    // Bound, never accepted: the kernel takes the connection, nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&listener.local_addr().unwrap().to_string()).unwrap();
    let client = client.with_timeout(Duration::from_millis(50));
    let error = client.version().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn events_come_one_by_one() {
    let client = stub(|_, path, _| {
        assert_eq!(path, "/v1/proxies/p/events");
        let body = ": hello\n\nevent: connection_opened\ndata: {\"id\":1}\n\n:\n\nevent: connection_closed\ndata: {\"id\":1}\n\n";
        (200, body.to_owned())
    })
    .await;
    let events: Vec<_> = client.events("p").await.unwrap().map(Result::unwrap).collect().await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["connection_opened", "connection_closed"]);
}

#[tokio::test]
async fn injections_are_asked_for_listed_and_ended() {
    fn injection(state: &str) -> String {
        json!({"id": "inj-1", "state": state, "target": {"service": "pay", "max_targets": 2},
            "fault": {"type": "latency"}, "duration_seconds": 60.0, "steady_state": null, "hypothesis": "h",
            "owner": "o", "requested_by": {"who": "ann", "from": ""}, "requested_at": "2026-11-21T02:47:00.000Z",
            "targets": ["pay"], "matched": 1, "seed": 7, "new_field": true})
        .to_string()
    }
    let client = stub(|method, path, body| match (method, path) {
        ("POST", "/injections") => {
            assert_eq!(body["target"], json!({"service": "pay", "max_targets": 2}));
            assert_eq!(body["steady_state"], json!({"slo": "writes", "min": 0.5, "abort_after": 1.0}));
            assert!(body.get("queue").is_none(), "{body}");
            (201, injection("running"))
        }
        ("GET", "/injections") => (200, format!("{{\"injections\":[{}]}}", injection("running"))),
        ("DELETE", "/injections/inj-1") => (200, injection("reverted")),
        ("POST", "/injections/inj-1/approve") => {
            assert_eq!(body, &json!({"approver": "bob"}));
            (403, json!({"error": "a second person has to approve it", "status": 403}).to_string())
        }
        ("GET", "/v1/audit") => {
            let event = json!({"seq": 3, "at": "2026-11-21T02:47:00.000Z", "at_ms": 1, "who": "ann", "from": "",
                "action": "changed", "what": "POST /reset", "status": 204, "hash": "ab"});
            (200, json!({"events": [event]}).to_string())
        }
        other => panic!("{other:?}"),
    })
    .await;
    let new = NewInjection {
        target: InjectionTarget { service: "pay".to_owned(), selector: None, max_targets: 2 },
        fault: json!({"type": "latency"}).as_object().unwrap().clone(),
        duration_seconds: 60.0,
        steady_state: SteadyState {
            slo: "writes".to_owned(),
            min: Some(0.5),
            max: None,
            abort_after: 1.0,
            abort_without_data_after: None,
        },
        hypothesis: "h".to_owned(),
        owner: "o".to_owned(),
        queue: false,
        lease_seconds: None,
    };
    assert!(!client.inject(&new).await.unwrap().is_over());
    let which = Which { state: Some("running".to_owned()), ..Which::default() };
    assert_eq!(client.injections(&which).await.unwrap().injections[0].id, "inj-1");
    assert!(client.revert_injection("inj-1").await.unwrap().is_over());
    assert_eq!(client.approve_injection("inj-1", Some("bob")).await.unwrap_err().status(), Some(403));
    let events = client.audit(&Audit::default()).await.unwrap();
    assert_eq!((events[0].action.as_str(), &events[0].rest["what"]), ("changed", &json!("POST /reset")));
}
